//! Plans: kernels in order, each operand with its place in memory.
//!
//! [`compile`] takes a program through these passes, each in its own file: lowering to one graph
//! (`lower.rs` beside this folder), simplification, items and views, fusion and order, values to
//! compute again, storage, arena layout, and emission. Debug builds verify the result.

mod arena;
pub(crate) mod budget;
mod cost;
mod dump;
mod emit;
mod fuse;
mod items;
mod order;
mod recompute;
mod simplify;
mod storage;
mod sums;
mod types;
mod verify;
mod view;

pub use budget::check_budget;
pub use cost::Cost;
pub use types::{
    Feed, Footprint, Fused, FusedOutput, Instruction, Kernel, NamedPlace, Place, Plan, Region,
    Register, Work,
};
pub use verify::verify;

use crate::error::EngineError;
use crate::lower::StepGraph;
use crate::program::Program;
use crate::state::StateLayout;

use emit::Emitter;
use fuse::Groups;
use items::Items;
use storage::Storages;

/// Compiles a program whose state lies as in `layout`.
///
/// # Errors
/// The program is incomplete, an op has no gradient, or the step would need more memory than
/// `budget` bytes.
pub fn compile(
    program: &Program,
    layout: &StateLayout,
    budget: Option<usize>,
) -> Result<Plan, EngineError> {
    let step = StepGraph::new(program, layout)?;
    let step = simplify::simplify(&step)?;
    let items = Items::new(&step, layout)?;
    let groups = Groups::new(&items);
    let (mut items, mut groups) = recompute::recompute(items, groups);
    let placed = storage::place_writes(&mut items, &mut groups)?;
    let order = groups.schedule(&items)?;
    let storages = Storages::new(&items, &groups, &order, &placed);
    let (offsets, arena) = arena::layout(&storages.all);
    let emitter =
        Emitter { items: &items, groups: &groups, storages: &storages, offsets: &offsets };
    let mut kernels = Vec::new();
    for &group in &order {
        kernels.extend(emitter.group(group)?);
    }
    let named = |roots: &[(String, view::View)]| {
        let places = roots
            .iter()
            .map(|(name, view)| Ok(NamedPlace { name: name.clone(), place: emitter.place(view)? }));
        places.collect::<Result<Vec<_>, EngineError>>()
    };
    let (reports, outputs) = (named(&items.reports)?, named(&items.outputs)?);
    let footprint = footprint(&items, &storages, layout, arena);
    let plan = Plan {
        kernels,
        reports,
        outputs,
        footprint,
        feeds: items.feeds,
        scalars: items.scalars,
        states: items.states,
        constants: items.constants,
    };
    if cfg!(debug_assertions) {
        verify(&plan)?;
    }
    check_budget(&plan.footprint, budget)?;
    Ok(plan)
}

fn footprint(items: &Items, storages: &Storages, layout: &StateLayout, arena: usize) -> Footprint {
    let in_arena = storages.all.iter().filter(|s| s.state.is_none());
    Footprint {
        arena,
        unshared: in_arena.map(|s| s.bytes).sum(),
        state: layout.bytes(),
        feeds: items.feeds.iter().map(|f| f.ty.bytes()).sum(),
        constants: items.constants.iter().map(|c| c.len() * c.dtype().size()).sum(),
    }
}
