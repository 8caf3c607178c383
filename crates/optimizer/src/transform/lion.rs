//! Lion's direction.

use onestep_engine::{Graph, GraphError};

use crate::chain::{Flow, Transform};
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

/// The sign of an average: `sign(beta1 * m + (1 - beta1) * update)`, and then
/// `m = beta2 * m + (1 - beta2) * update`. State: `exp_avg` (m).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByLion {
    /// How much the average counts in the direction, and how much of it is kept.
    pub betas: [f64; 2],
}

impl Transform for ScaleByLion {
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("exp_avg")]
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let (update, average) = (flow.update(g)?, leaves.state("exp_avg")?);
        let mixed = leaves.hyper("beta1", self.betas[0]).average(g, average, update)?;
        flow.set(g.sign(mixed)?);
        flow.keep("exp_avg", leaves.hyper("beta2", self.betas[1]).average(g, average, update)?);
        Ok(())
    }
}
