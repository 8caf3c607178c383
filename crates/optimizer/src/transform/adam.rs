//! Adam's direction.

use onestep_engine::{Graph, GraphError, Value};

use crate::chain::{Flow, Transform};
use crate::hyper::Hyper;
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

/// Keeps the averages of the update and of its square, and gives both with their hyperparameters.
pub(crate) fn moments(
    betas: [f64; 2],
    g: &mut Graph,
    leaves: &GroupLeaves<'_>,
    flow: &mut Flow,
) -> Result<([Hyper; 2], [Value; 2]), GraphError> {
    let beta1 = leaves.hyper("beta1", betas[0]);
    let beta2 = leaves.hyper("beta2", betas[1]);
    let update = flow.update(g)?;
    let square = g.square(update)?;
    let first = beta1.average(g, leaves.state("exp_avg")?, update)?;
    let second = beta2.average(g, leaves.state("exp_avg_sq")?, square)?;
    flow.keep("exp_avg", first);
    flow.keep("exp_avg_sq", second);
    Ok(([beta1, beta2], [first, second]))
}

/// The update's average over the root of its square's average, both corrected for their start:
///
/// ```text
/// m = beta1 * m + (1 - beta1) * update
/// v = beta2 * v + (1 - beta2) * update^2
/// w = max(w, v) with amsgrad, v without
/// update = m / (1 - beta1^t) / (sqrt(w) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// State: `exp_avg` (m), `exp_avg_sq` (v) and with amsgrad `max_exp_avg_sq` (w).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdam {
    /// How much is kept of the averages of the update and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Whether to divide by the largest average of the square so far.
    pub amsgrad: bool,
}

impl Transform for ScaleByAdam {
    fn states(&self) -> Vec<StateKind> {
        let mut states = vec![StateKind::zeros("exp_avg"), StateKind::zeros("exp_avg_sq")];
        if self.amsgrad {
            states.push(StateKind::zeros("max_exp_avg_sq"));
        }
        states
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let ([beta1, beta2], [first, second]) = moments(self.betas, g, leaves, flow)?;
        let mut divisor = second;
        if self.amsgrad {
            divisor = g.max(leaves.state("max_exp_avg_sq")?, second)?;
            flow.keep("max_exp_avg_sq", divisor);
        }
        let step = leaves.step(g)?;
        let first_correction = beta1.bias_correction(g, step)?;
        let second_correction = beta2.bias_correction(g, step)?;
        let spread = g.rsqrt(second_correction)?;
        let root = g.sqrt(divisor)?;
        let root = g.mul(root, spread)?;
        let denominator = leaves.hyper("eps", self.eps).added(g, root)?;
        let direction = g.div(first, denominator)?;
        flow.set_ratio(direction, first_correction);
        Ok(())
    }
}
