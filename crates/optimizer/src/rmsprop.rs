//! RMSprop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{AddDecay, Momentum, ScaleByLr, ScaleByRms};
use crate::{Chain, OptimizerError};

/// RMSprop (Tieleman and Hinton, 2012, "Neural Networks for Machine Learning", lecture 6.5), with
/// the centred variant of Graves (2013), "Generating Sequences With Recurrent Neural Networks", in
/// the form that `torch.optim.RMSprop` uses:
///
/// ```text
/// d = g + weight_decay * p
/// s = alpha * s + (1 - alpha) * d^2
/// a = alpha * a + (1 - alpha) * d              if centred
/// r = sqrt(s - a^2) + eps if centred, sqrt(s) + eps if not
/// b = momentum * b + d / r                     with momentum
/// p = p - lr * b with momentum, p - lr * d / r without
/// ```
///
/// Where rounding makes the variance `s - a^2` negative it is taken as 0; PyTorch has NaN there.
///
/// State: `square_avg` (s), with momentum `momentum_buffer` (b), if centred `grad_avg` (a).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages.
    pub alpha: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// How much of the last change is kept.
    pub momentum: f64,
    /// Whether to divide by the standard deviation of the gradient instead of its root mean
    /// square.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

impl RmsProp {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "rmsprop",
            [
                ("lr", self.lr, Range::NotNegative),
                ("alpha", self.alpha, Range::UpToOne),
                ("eps", self.eps, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("momentum", self.momentum, Range::NotNegative),
            ],
        )
    }
}

impl RmsProp {
    fn rule(&self) -> Chain {
        let rms = ScaleByRms { alpha: self.alpha, eps: self.eps, centered: self.centered };
        let momentum = (self.momentum != 0.0).then(|| Momentum::new(self.momentum));
        Chain::new("rmsprop").then(AddDecay).then(rms).then_if(momentum).then(ScaleByLr)
    }
}

optimizer_options!(RmsProp, "rmsprop");
