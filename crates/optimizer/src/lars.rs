//! LARS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{AddDecay, Momentum, ScaleByLr, TrustRatio};
use crate::{Chain, OptimizerError};

/// LARS (You et al., 2017, "Large Batch Training of Convolutional Networks"), in the form and with
/// the defaults of `optax.lars`: momentum over steps that are in proportion to the norm of each
/// tensor.
///
/// ```text
/// d = g + weight_decay * p
/// d = lr * trust_coefficient * |p| / (|d| + eps) * d   with norms of whole tensors;
///                                                      lr * d where a norm is 0
/// b = momentum * b + d
/// p = p - (d + momentum * b) with Nesterov's momentum, p - b without
/// ```
///
/// State: `momentum_buffer` (b), if `momentum` is not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lars {
    /// The learning rate.
    pub lr: f64,
    /// How much of the last change is kept.
    pub momentum: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// The share of a tensor's norm that a step of learning rate 1 has.
    pub trust_coefficient: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

impl Default for Lars {
    fn default() -> Self {
        Lars {
            lr: 1e-1,
            momentum: 0.9,
            weight_decay: 0.0,
            trust_coefficient: 1e-3,
            eps: 0.0,
            nesterov: false,
        }
    }
}

impl Lars {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "lars",
            [
                ("lr", self.lr, Range::NotNegative),
                ("momentum", self.momentum, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("trust_coefficient", self.trust_coefficient, Range::Positive),
                ("eps", self.eps, Range::NotNegative),
            ],
        )
    }

    fn rule(&self) -> Chain {
        let (momentum, nesterov) = (self.momentum, self.nesterov);
        let momentum = (momentum != 0.0).then_some(Momentum { momentum, dampening: 0.0, nesterov });
        Chain::new("lars")
            .then(AddDecay)
            .then(TrustRatio { coefficient: self.trust_coefficient, eps: self.eps })
            .then(ScaleByLr)
            .then_if(momentum)
    }
}

optimizer_options!(Lars, "lars");
