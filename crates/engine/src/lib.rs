//! The compiler of onestep: graphs, automatic differentiation, plans, executors and tickets.

mod array;
mod autodiff;
mod by_rows;
mod cache;
mod contributions;
mod counters;
mod engine;
mod error;
mod executor;
mod flight;
mod graph;
mod lower;
mod mode;
pub mod ops;
mod parameters;
pub mod plan;
mod poison;
mod program;
pub mod reference;
mod scalars;
mod signature;
mod state;
mod ticket;
mod touched;
mod update;

pub use autodiff::gradients;
pub use counters::StepCounters;
#[doc(hidden)]
pub use counters::{compiler_work, count_work};
pub use engine::{Engine, PLANS, ProgramSource};
pub use error::EngineError;
pub use executor::{Executor, Feeds, KernelTime, Step, output_size};
pub use flight::Flight;
pub use graph::{
    AttentionOptions, Composite, Graph, GraphError, Named, Node, Phase, Recurred,
    RecurrenceOptions, ScanOptions, Scanned, Type, Value, scan,
};
pub use lower::StepGraph;
pub use mode::Mode;
pub use onestep_base::philox;
pub use onestep_memory::{DType, Shape};
pub use parameters::{ParameterGroup, ParameterInfo};
pub use plan::{Cost, Footprint, Plan};
pub use poison::{Health, Poison};
pub use program::Program;
pub use scalars::{ScalarSlot, ScalarSlots, Scalars};
pub use signature::Signature;
pub use state::{StateBuffer, StateEntry, StateInfo, StateKind, StateLayout, StateTable};
pub use ticket::{MAX_REPORTS, Reports, Ticket, TicketRing};
pub use update::{GroupUpdate, SharedUpdate, StateShape, StateUpdate, UpdateGraph};
