//! What a step takes, as far as it is known before the first one.
//!
//! State, feeds and outputs are buffers of our own: their sizes are exact. So are the new contents of
//! state, which are computed beside the old ones. What the compiled graph keeps in between is planned by
//! MPSGraph, which does not tell. The estimate here is what all intermediate values, gradients included,
//! take without any sharing: MPSGraph needs less wherever it fuses ops or reuses memory.

use onestep_engine::ops::Op;
use onestep_engine::{EngineError, Footprint, Named, StateLayout};

use crate::translate::Translation;

/// The footprint of a step.
pub(crate) fn footprint(translation: &Translation, layout: &StateLayout) -> Footprint {
    let graph = &translation.step.graph;
    let bytes_where = |wanted: fn(&Op) -> bool| -> usize {
        let values = graph.values().zip(&translation.live);
        let found = values.filter(|&(v, &live)| live && wanted(graph.op(v)));
        found.map(|(v, _)| graph.type_of(v).bytes()).sum()
    };
    let of = |list: &[Named]| -> usize {
        list.iter().map(|named| graph.type_of(named.value).bytes()).sum()
    };
    let arena =
        bytes_where(needs_memory) + of(&translation.step.outputs) + of(&translation.step.writes);
    Footprint {
        arena,
        unshared: arena,
        state: layout.bytes(),
        feeds: translation.feed_bytes,
        constants: bytes_where(|op| matches!(op, Op::Constant(_))),
    }
}

/// Refuses a step that would need more than the budget.
pub(crate) fn check_budget(
    footprint: &Footprint,
    budget: Option<usize>,
) -> Result<(), EngineError> {
    match budget {
        Some(budget) if footprint.peak() > budget => Err(EngineError::OverBudget {
            needed: footprint.peak(),
            arena: footprint.arena,
            state: footprint.state,
            feeds: footprint.feeds,
            budget,
        }),
        _ => Ok(()),
    }
}

/// Whether the value of an op is stored for itself: leaves and constants are counted elsewhere, and
/// these movements are views of what they move.
fn needs_memory(op: &Op) -> bool {
    !matches!(op, Op::Leaf(_) | Op::Constant(_) | Op::Reshape(_) | Op::Broadcast(_) | Op::Slice(_))
}

#[cfg(test)]
mod tests {
    use onestep_engine::{DType, Graph, Program};

    use super::*;

    #[test]
    fn every_part_is_counted_once() -> Result<(), EngineError> {
        let mut graph = Graph::new();
        let x = graph.input("x", &[4, 3], DType::F32)?;
        let w = graph.parameter("w", &[3, 2])?;
        let y = graph.matmul(x, w)?;
        let flat = graph.reshape(y, &[8])?;
        graph.exp(y)?;
        let program = Program::predict(graph, vec![Named::new("y", flat)]);
        let layout = StateLayout::new(&program.groups, &[], None)?;
        let found = footprint(&Translation::new(&program, &layout)?, &layout);
        // The product, and its copy as an output.
        assert_eq!((found.arena, found.state, found.feeds), (32 + 32, 24, 48));
        assert!(check_budget(&found, Some(136)).is_ok());
        assert!(check_budget(&found, Some(135)).is_err());
        Ok(())
    }
}
