//! Adam that leaves the rows of a table alone that have no gradient.

use onestep_engine::{Graph, GraphError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adam::check_adam;
use crate::chain::{Flow, Transform};
use crate::leaves::GroupLeaves;
use crate::options::optimizer_options;
use crate::rule::StateKind;
use crate::transform::{AddDecay, ScaleByLr, moments};
use crate::{Chain, OptimizerError};

/// Adam for tables that are looked up, in the form that `torch.optim.SparseAdam` uses: of a table, as in an
/// embedding, the rows that a batch does not look up stay as they are, and so does what is kept for them, which
/// [`Adam`](crate::Adam) would let fade.
///
/// ```text
/// d = g + weight_decay * p
/// m = beta1 * m + (1 - beta1) * d
/// v = beta2 * v + (1 - beta2) * d^2
/// p = p - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
/// ```
///
/// for the rows that are looked up, where `t` counts the steps of the run. What is no table, or one that is used
/// in another way too, such as the weights of the last layer, or whose gradients of several batches are added
/// up, is updated whole by the same formula; PyTorch refuses it.
///
/// State: `exp_avg` (m) and `exp_avg_sq` (v).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SparseAdam {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// The factor of the L2 penalty of what is updated. PyTorch has none.
    pub weight_decay: f64,
}

impl Default for SparseAdam {
    fn default() -> Self {
        SparseAdam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

impl SparseAdam {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("sparse_adam", self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn rule(&self) -> Chain {
        let adam = ScaleByRowAdam { betas: self.betas, eps: self.eps };
        Chain::new("sparse_adam").then(AddDecay).then(adam).then(ScaleByLr)
    }
}

/// As [`ScaleByAdam`](crate::transform::ScaleByAdam), with `eps` beside the root that is not corrected yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ScaleByRowAdam {
    betas: [f64; 2],
    eps: f64,
}

impl Transform for ScaleByRowAdam {
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("exp_avg"), StateKind::zeros("exp_avg_sq")]
    }

    /// Each table is a group of its own, whose rows are known.
    fn by_tensor(&self) -> bool {
        true
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let ([beta1, beta2], [first, second]) = moments(self.betas, g, leaves, flow)?;
        let step = leaves.step(g)?;
        let first_correction = beta1.bias_correction(g, step)?;
        let second_correction = beta2.bias_correction(g, step)?;
        let spread = g.rsqrt(second_correction)?;
        let divisor = g.mul(first_correction, spread)?;
        let root = g.sqrt(second)?;
        let denominator = leaves.hyper("eps", self.eps).added(g, root)?;
        let direction = g.div(first, denominator)?;
        flow.set_ratio(direction, divisor);
        Ok(())
    }
}

optimizer_options!(
    SparseAdam,
    "sparse_adam",
    fn lazy(&self) -> bool {
        true
    }
);
