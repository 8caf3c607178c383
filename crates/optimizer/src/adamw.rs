//! Adam with decoupled weight decay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adam::check_adam;
use crate::options::optimizer_options;
use crate::transform::{Decay, ScaleByAdam, ScaleByLr};
use crate::{Chain, OptimizerError};

/// AdamW (Loshchilov and Hutter, 2019, "Decoupled Weight Decay Regularization"), in the form that
/// `torch.optim.AdamW` uses: the parameters shrink before the step of [`Adam`](crate::Adam), and
/// the averages never see the decay.
///
/// ```text
/// p = p * (1 - lr * weight_decay)
/// m = beta1 * m + (1 - beta1) * g
/// v = beta2 * v + (1 - beta2) * g^2
/// w = max(w, v) with amsgrad, v without
/// p = p - lr / (1 - beta1^t) * m / (sqrt(w) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// State: `exp_avg` (m), `exp_avg_sq` (v) and with amsgrad `max_exp_avg_sq` (w).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// How much the parameters shrink at each step, times the learning rate.
    pub weight_decay: f64,
    /// Whether to divide by the largest average of the square so far.
    pub amsgrad: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, amsgrad: false }
    }
}

impl AdamW {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("adamw", self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn rule(&self) -> Chain {
        let adam = ScaleByAdam { betas: self.betas, eps: self.eps, amsgrad: self.amsgrad };
        Chain::new("adamw").then(Decay).then(adam).then(ScaleByLr)
    }
}

optimizer_options!(AdamW, "adamw");
