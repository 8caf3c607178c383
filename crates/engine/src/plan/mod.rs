//! Plans: kernels in order, each operand with its place in memory.
//!
//! [`compile`] takes a program through these passes, each in its own file: lowering to one graph
//! (`lower.rs` beside this folder), simplification, items and views, writes of state, rows, fusion and order,
//! values to compute again, storage, arena layout, and emission. Debug builds verify the result.

mod arena;
pub(crate) mod budget;
mod code;
mod cost;
mod dump;
mod emit;
mod fuse;
mod ids;
mod items;
mod joined;
mod kernel;
mod order;
mod pairing;
mod place;
mod recompute;
mod rows;
mod simplify;
mod slopes;
mod storage;
mod sums;
mod types;
mod verify;
mod view;
mod why;
mod write_back;

pub use budget::check_budget;
pub use code::{Fused, FusedOutput, Instruction, Register};
pub use cost::Cost;
pub use kernel::{Composite, ConvGradients, ConvMoments, Kernel, Work};
pub use place::{Place, Region};
pub use types::{Feed, Footprint, NamedPlace, Plan};
pub use verify::verify;
pub use why::{Reason, Unmerged};

use std::ops::Range;

use crate::error::EngineError;
use crate::graph::Graph;
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
    let Passes { plan, .. } = Passes::run(&StepGraph::new(program, layout)?, layout)?;
    check_budget(&plan.footprint, budget)?;
    Ok(plan)
}

/// Compiles a graph that stands for a step, such as that of an update alone
/// ([`StepGraph::of_update`]), whatever memory it needs.
///
/// # Errors
/// The graph has a state that the layout lacks.
pub fn compile_step(step: &StepGraph, layout: &StateLayout) -> Result<Plan, EngineError> {
    Ok(Passes::run(step, layout)?.plan)
}

/// A plan with what it was made from, and what became of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The whole step in primitives and composites, as it was planned: simplified.
    pub graph: Graph,
    /// The plan.
    pub plan: Plan,
    /// For each kernel the values that it reads from memory, and why the kernel that computes each is not part
    /// of it.
    pub unmerged: Vec<Vec<Unmerged>>,
}

/// Compiles a program as [`compile`] does, whatever memory it needs, and says how its plan came to be.
///
/// # Errors
/// As [`compile`].
pub fn explain(program: &Program, layout: &StateLayout) -> Result<Explained, EngineError> {
    let Passes { graph, items, groups, kernels_of, plan } =
        Passes::run(&StepGraph::new(program, layout)?, layout)?;
    let mut kernel_of = vec![None; groups.members.len()];
    for (group, kernels) in &kernels_of {
        kernel_of[*group] = kernels.clone().last();
    }
    let mut unmerged = vec![Vec::new(); plan.kernels.len()];
    for (group, kernels) in kernels_of {
        for value in why::unmerged(&items, &groups, group, &kernel_of) {
            // What is assembled takes a kernel for each part that does not lie in its place already.
            let written = plan.kernels[value.from].writes();
            let is_reader = |&kernel: &usize| {
                let reads = plan.kernels[kernel].reads();
                reads.iter().any(|read| written.iter().any(|place| place.overlaps(read)))
            };
            if let Some(reader) = kernels.clone().find(is_reader) {
                unmerged[reader].push(value);
            }
        }
    }
    Ok(Explained { graph, plan, unmerged })
}

/// What the passes leave behind.
struct Passes {
    graph: Graph,
    items: Items,
    groups: Groups,
    /// The groups in order, with the kernels that each has become.
    kernels_of: Vec<(ids::GroupId, Range<usize>)>,
    plan: Plan,
}

impl Passes {
    fn run(step: &StepGraph, layout: &StateLayout) -> Result<Passes, EngineError> {
        let step = simplify::simplify(step)?;
        let items = rows::as_rows(write_back::write_back(Items::new(&step, layout)?));
        let groups = Groups::new(&items);
        let (items, groups) = recompute::recompute(items, groups);
        let order = groups.schedule(&items)?;
        let storages = Storages::new(&items, &groups, &order);
        let (offsets, arena) = arena::layout(&storages.all);
        let emitter =
            Emitter { items: &items, groups: &groups, storages: &storages, offsets: &offsets };
        let (mut kernels, mut kernels_of) = (Vec::new(), Vec::with_capacity(order.len()));
        for &group in &order {
            let first = kernels.len();
            kernels.extend(emitter.group(group)?);
            kernels_of.push((group, first..kernels.len()));
        }
        let named = |roots: &[(String, view::View)]| {
            let places = roots.iter().map(|(name, view)| {
                Ok(NamedPlace { name: name.clone(), place: emitter.place(view)? })
            });
            places.collect::<Result<Vec<_>, EngineError>>()
        };
        let plan = Plan {
            kernels,
            reports: named(&items.reports)?,
            outputs: named(&items.outputs)?,
            footprint: footprint(&items, &storages, layout, arena),
            feeds: items.feeds.clone(),
            scalars: items.scalars.clone(),
            states: items.states.clone(),
            constants: items.constants.clone(),
        };
        if cfg!(debug_assertions) {
            verify(&plan)?;
        }
        Ok(Passes { graph: step.graph, items, groups, kernels_of, plan })
    }
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
