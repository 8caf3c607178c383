//! AdaGrad.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{AddDecay, DecayLr, ScaleBySum};
use crate::{Chain, OptimizerError};

/// AdaGrad (Duchi et al., 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
/// Optimization"), in the form that `torch.optim.Adagrad` uses:
///
/// ```text
/// d = g + weight_decay * p
/// s = s + d^2
/// p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps)
/// ```
///
/// State: `sum` (s), which starts at `initial_accumulator_value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// The learning rate.
    pub lr: f64,
    /// How fast the learning rate falls with the number of steps.
    pub lr_decay: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// What the sum of squares is before the first step.
    pub initial_accumulator_value: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
        }
    }
}

impl Adagrad {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "adagrad",
            [
                ("lr", self.lr, Range::NotNegative),
                ("lr_decay", self.lr_decay, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("initial_accumulator_value", self.initial_accumulator_value, Range::NotNegative),
                ("eps", self.eps, Range::NotNegative),
            ],
        )
    }
}

impl Adagrad {
    fn rule(&self) -> Chain {
        let sum = ScaleBySum { initial: self.initial_accumulator_value, eps: self.eps };
        Chain::new("adagrad").then(AddDecay).then(sum).then(DecayLr { decay: self.lr_decay })
    }
}

optimizer_options!(Adagrad, "adagrad");
