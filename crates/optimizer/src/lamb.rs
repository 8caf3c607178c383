//! LAMB.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adam::check_adam;
use crate::options::optimizer_options;
use crate::transform::{AddDecay, ScaleByAdam, ScaleByLr, TrustRatio};
use crate::{Chain, OptimizerError};

/// LAMB (You et al., 2020, "Large Batch Optimization for Deep Learning: Training BERT in 76
/// minutes", algorithm 2), in the form and with the defaults of `optax.lamb`: Adam's direction with
/// decay, in proportion to the norm of each tensor.
///
/// ```text
/// m = beta1 * m + (1 - beta1) * g
/// v = beta2 * v + (1 - beta2) * g^2
/// u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * p
/// p = p - lr * |p| / |u| * u        with norms of whole tensors; lr * u where a norm is 0
/// ```
///
/// State: `exp_avg` (m), `exp_avg_sq` (v).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// How much the parameters count in the update.
    pub weight_decay: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Lamb {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("lamb", self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn rule(&self) -> Chain {
        Chain::new("lamb")
            .then(ScaleByAdam { betas: self.betas, eps: self.eps, amsgrad: false })
            .then(AddDecay)
            .then(TrustRatio { coefficient: 1.0, eps: 0.0 })
            .then(ScaleByLr)
    }
}

optimizer_options!(Lamb, "lamb");
