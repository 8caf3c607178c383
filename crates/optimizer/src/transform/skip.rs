//! Steps that are not taken.

use onestep_engine::{Graph, GraphError, Value};

use crate::chain::{Flow, Transform};
use crate::leaves::GroupLeaves;
use crate::rule::{Scope, SharedState};

const SKIPPED: &str = "skipped";

/// Last in a chain: where an element of any gradient of the run is not finite, no parameter and no
/// state changes, and the shared state `skipped` counts the step.
///
/// What comes before it has computed with that gradient, but what it made is not selected.
#[derive(Clone, Copy, Debug)]
pub struct SkipIfNonfinite;

impl SkipIfNonfinite {
    /// Whether the step is taken: 1 where `skipped` is still what it was.
    fn taken(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let skipped = leaves.shared(SKIPPED)?;
        g.eq(skipped.new, skipped.old)
    }
}

impl Transform for SkipIfNonfinite {
    fn shared_states(&self) -> Vec<SharedState> {
        vec![SharedState::run(SKIPPED, 0.0)]
    }

    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let (Scope::Run, Some(first)) = (scope, groups.first()) else { return Ok(Vec::new()) };
        let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
        let largest = g.constant(f32::MAX)?;
        let mut total = zero;
        for group in groups {
            let size = g.abs(group.gradient)?;
            // Of NaN too this does not hold.
            let finite = g.le(size, largest)?;
            let bad = g.select(finite, zero, one)?;
            let sum = g.sum_all(bad)?;
            total = g.add(total, sum)?;
        }
        let finite = g.eq(total, zero)?;
        let skipped = first.shared(SKIPPED)?.old;
        let more = g.offset(skipped, 1.0)?;
        Ok(vec![g.select(finite, skipped, more)?])
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let taken = self.taken(g, leaves)?;
        let (update, zero) = (flow.update(g)?, g.constant(0.0)?);
        let update = g.select(taken, update, zero)?;
        flow.set(update);
        flow.parameter = g.select(taken, flow.parameter, leaves.parameter)?;
        for state in leaves.states {
            let new = flow.kept(leaves, &state.kind)?;
            flow.keep(&state.kind, g.select(taken, new, state.old)?);
        }
        Ok(())
    }
}
