//! Adam, and the moments that it shares with AdamW.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::options::optimizer_options;
use crate::transform::{AddDecay, ScaleByAdam, ScaleByLr};
use crate::{Chain, OptimizerError};

/// Adam (Kingma and Ba, 2015, "Adam: A Method for Stochastic Optimization"), with the maximum of
/// Reddi et al. (2018), "On the Convergence of Adam and Beyond", as an option, in the form that
/// `torch.optim.Adam` uses:
///
/// ```text
/// d = g + weight_decay * p
/// m = beta1 * m + (1 - beta1) * d
/// v = beta2 * v + (1 - beta2) * d^2
/// w = max(w, v) with amsgrad, v without
/// p = p - lr / (1 - beta1^t) * m / (sqrt(w) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// `1 - beta^t` is computed as `-expm1(t * ln beta)`, so that f32 does not lose its
/// leading digits at small `t`.
///
/// State: `exp_avg` (m), `exp_avg_sq` (v) and with amsgrad `max_exp_avg_sq` (w).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// The factor of the L2 penalty, which passes through the averages. See
    /// [`AdamW`](crate::AdamW) for decay that does not.
    pub weight_decay: f64,
    /// Whether to divide by the largest average of the square so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Adam {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("adam", self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn rule(&self) -> Chain {
        let adam = ScaleByAdam { betas: self.betas, eps: self.eps, amsgrad: self.amsgrad };
        Chain::new("adam").then(AddDecay).then(adam).then(ScaleByLr)
    }
}

optimizer_options!(Adam, "adam");

/// Checks what all that divide by the root of a second moment have in common.
pub(crate) fn check_adam(
    subject: &str,
    lr: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
) -> Result<(), OptimizerError> {
    check(
        subject,
        [
            ("lr", lr, Range::NotNegative),
            ("betas[0]", betas[0], Range::BelowOne),
            ("betas[1]", betas[1], Range::BelowOne),
            ("eps", eps, Range::NotNegative),
            ("weight_decay", weight_decay, Range::NotNegative),
        ],
    )
}
