//! Lion.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adam::check_adam;
use crate::options::optimizer_options;
use crate::transform::{AddDecay, ScaleByLion, ScaleByLr};
use crate::{Chain, OptimizerError};

/// Lion (Chen et al., 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2), in the
/// form of `optax.lion`:
///
/// ```text
/// p = p - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)
/// m = beta2 * m + (1 - beta2) * g
/// ```
///
/// Each element moves by the learning rate, so that is 3 to 10 times smaller than Adam's, and the
/// weight decay as much larger. The learning rate's default is the authors'.
///
/// State: `exp_avg` (m).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// The learning rate.
    pub lr: f64,
    /// How much the average counts in the direction, and how much of it is kept.
    pub betas: [f64; 2],
    /// How much the parameters shrink at each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Lion { lr: 1e-4, betas: [0.9, 0.99], weight_decay: 1e-3 }
    }
}

impl Lion {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("lion", self.lr, self.betas, 0.0, self.weight_decay)
    }

    fn rule(&self) -> Chain {
        Chain::new("lion").then(ScaleByLion { betas: self.betas }).then(AddDecay).then(ScaleByLr)
    }
}

optimizer_options!(Lion, "lion");
