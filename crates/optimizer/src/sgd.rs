//! Stochastic gradient descent with momentum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{AddDecay, Momentum, ScaleByLr};
use crate::{Chain, OptimizerError};

/// Stochastic gradient descent, with momentum as in Sutskever et al. (2013), "On the importance of
/// initialization and momentum in deep learning", in the form that `torch.optim.SGD` uses:
///
/// ```text
/// d = g + weight_decay * p
/// b = d                                        at step 1
/// b = momentum * b + (1 - dampening) * d       later
/// d = d + momentum * b                         with Nesterov's momentum
/// d = b                                        without
/// p = p - lr * d
/// ```
///
/// Without momentum there is no state and `d` is used as it is.
///
/// State: `momentum_buffer`, if `momentum` is not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// The learning rate.
    pub lr: f64,
    /// How much of the last change is kept, such as 0.9.
    pub momentum: f64,
    /// How much less a new gradient counts in the momentum.
    pub dampening: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// Nesterov's momentum; needs `momentum` above 0 and `dampening` 0.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl Sgd {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "sgd",
            [
                ("lr", self.lr, Range::NotNegative),
                ("momentum", self.momentum, Range::NotNegative),
                ("dampening", self.dampening, Range::UpToOne),
                ("weight_decay", self.weight_decay, Range::NotNegative),
            ],
        )?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let got =
                format!("true with momentum {} and dampening {}", self.momentum, self.dampening);
            let wanted = "false unless momentum is above 0 and dampening is 0";
            return Err(OptimizerError::option("sgd", "nesterov", wanted, got));
        }
        Ok(())
    }
}

impl Sgd {
    fn rule(&self) -> Chain {
        let (momentum, dampening) = (self.momentum, self.dampening);
        let momentum =
            (momentum != 0.0).then_some(Momentum { momentum, dampening, nesterov: self.nesterov });
        Chain::new("sgd").then(AddDecay).then_if(momentum).then(ScaleByLr)
    }
}

optimizer_options!(Sgd, "sgd");
