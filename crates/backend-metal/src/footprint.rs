//! What a step takes, as far as it is known before the first one.
//!
//! State, feeds, outputs and gradients are buffers of our own: their sizes are exact. What the
//! compiled graph keeps in between is planned by MPSGraph, which does not tell. The estimate here is
//! what all intermediate values take without any sharing, and for a training program the same once
//! more for their gradients: MPSGraph needs less wherever it fuses ops or reuses memory.

use onestep_engine::ops::{LeafKind, Op};
use onestep_engine::{EngineError, Footprint, Graph, Mode, Program, StateLayout};
use onestep_memory::DType;

/// The footprint of a program of which `live` tells, by position, the values that are computed.
pub(crate) fn footprint(program: &Program, layout: &StateLayout, live: &[bool]) -> Footprint {
    let graph = &program.graph;
    let bytes_where = |wanted: fn(&Op) -> bool| -> usize {
        let values = graph.values().zip(live).filter(|&(v, &live)| live && wanted(graph.op(v)));
        values.map(|(v, _)| graph.type_of(v).bytes()).sum()
    };
    let values = bytes_where(needs_memory);
    let backward = match program.mode {
        Mode::Train | Mode::Accumulate => values + gradient_bytes(program),
        Mode::Evaluate | Mode::Predict => 0,
    };
    let arena = values + backward + output_bytes(program);
    Footprint {
        arena,
        unshared: arena,
        state: layout.bytes(),
        feeds: feed_bytes(graph),
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

fn gradient_bytes(program: &Program) -> usize {
    program.groups.iter().map(|group| group.elements() * DType::F32.size()).sum()
}

fn output_bytes(program: &Program) -> usize {
    program.outputs.iter().map(|output| program.graph.type_of(output.value).bytes()).sum()
}

fn feed_bytes(graph: &Graph) -> usize {
    graph.leaves(LeafKind::Input).map(|(_, value)| graph.type_of(value).bytes()).sum()
}

#[cfg(test)]
mod tests {
    use onestep_engine::Named;

    use super::*;

    #[test]
    fn every_part_is_counted_once() -> Result<(), EngineError> {
        let mut graph = Graph::new();
        let x = graph.input("x", &[4, 3], DType::F32)?;
        let w = graph.parameter("w", &[3, 2])?;
        let y = graph.matmul(x, w)?;
        let flat = graph.reshape(y, &[8])?;
        let unused = graph.exp(y)?;
        let mut live = vec![true; graph.nodes().len()];
        live[unused.index()] = false;
        let program = Program::predict(graph, vec![Named::new("y", flat)]);
        let layout = StateLayout::new(&program.groups, &[], None)?;
        let found = footprint(&program, &layout, &live);
        // The product, and its copy as an output.
        assert_eq!((found.arena, found.state, found.feeds), (32 + 32, 24, 48));
        assert!(check_budget(&found, Some(136)).is_ok());
        assert!(check_budget(&found, Some(135)).is_err());
        Ok(())
    }
}
