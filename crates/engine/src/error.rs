//! What can go wrong in the compiler and in a step.

use onestep_memory::MemoryError;
use thiserror::Error;

use crate::graph::GraphError;

impl From<MemoryError> for EngineError {
    fn from(error: MemoryError) -> Self {
        EngineError::Memory(Box::new(error))
    }
}

/// What would need less memory.
fn smaller(state: usize, budget: usize) -> &'static str {
    if state > budget {
        // Its parameters alone are too many.
        "a smaller model"
    } else {
        "a smaller batch (`--batch-size`), for pictures a smaller size (`?size=` behind the data),"
    }
}

/// A program that cannot be compiled or run.
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The graph cannot be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The device's memory failed.
    #[error(transparent)]
    Memory(Box<MemoryError>),
    /// A program lacks something that its mode needs.
    #[error("a program to {mode} needs {missing}")]
    Incomplete {
        /// `train`, `evaluate` or `predict`.
        mode: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// The source of programs, such as a model, could not make one.
    #[error("cannot {} a batch of {batch}: {reason}", mode.doing())]
    Source {
        /// What the program was to be for.
        mode: crate::mode::Mode,
        /// The batch size.
        batch: usize,
        /// Why not.
        reason: String,
    },
    /// A step would need more memory than the budget has.
    #[error(
        "the step needs {} ({} of activations, {} of state, {} of batch), but the budget is {}; \
         use {} or a larger budget (`--memory-budget`; by default it is the memory that the machine \
         has free)",
        onestep_memory::format_bytes(*.needed),
        onestep_memory::format_bytes(*.arena),
        onestep_memory::format_bytes(*.state),
        onestep_memory::format_bytes(*.feeds),
        onestep_memory::format_bytes(*.budget),
        smaller(*.state, *.budget)
    )]
    OverBudget {
        /// Bytes in all.
        needed: usize,
        /// Bytes of intermediate values.
        arena: usize,
        /// Bytes of the state table.
        state: usize,
        /// Bytes of a batch.
        feeds: usize,
        /// Bytes there are.
        budget: usize,
    },
    /// The backend cannot run an op.
    #[error("{backend} cannot run {op}: {reason}")]
    Unsupported {
        /// The backend.
        backend: &'static str,
        /// The op.
        op: String,
        /// Why.
        reason: String,
    },
    /// A fed tensor does not fit.
    #[error("feed `{name}`: expected {wanted}, got {got}")]
    Feed {
        /// The input's name.
        name: String,
        /// The type wanted.
        wanted: String,
        /// The type given.
        got: String,
    },
    /// A scalar that the program uses was not given.
    #[error("the program uses the scalar `{name}`, which was not set")]
    MissingScalar {
        /// Its name.
        name: String,
    },
    /// An output that the program does not have.
    #[error("the program has no output named `{name}`; it has: {known}")]
    UnknownOutput {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An output that cannot be read any more, or not yet.
    #[error("the output `{name}` cannot be read: {reason}")]
    OutputGone {
        /// The name.
        name: String,
        /// Why not, and what to do about it.
        reason: &'static str,
    },
    /// A tensor that the state table does not have.
    #[error("the state table has no tensor named `{name}`")]
    UnknownState {
        /// The name.
        name: String,
    },
    /// The weights to evaluate or predict with are not there.
    #[error(
        "no optimizer state `{kind}` has the shape of the parameters, so they cannot be read from it; \
         use an optimizer that keeps it, and not in a program to train"
    )]
    NoWeights {
        /// The kind of state.
        kind: String,
    },
    /// Two tensors of the state table with one name.
    #[error("two tensors of the state table are named `{name}`")]
    DuplicateState {
        /// The name.
        name: String,
    },
    /// A ticket was kept for too long.
    #[error("the result of step {step} is gone: only the last {kept} are kept")]
    TicketExpired {
        /// The step.
        step: u64,
        /// How many results are kept.
        kept: usize,
    },
    /// More reports than a ticket holds.
    #[error("a step reports at most {most} scalars, got {got}")]
    TooManyReports {
        /// The limit.
        most: usize,
        /// The number asked for.
        got: usize,
    },
    /// A step failed before, so that the state cannot be trusted.
    #[error("an earlier step failed ({reason}); restore the state from a checkpoint")]
    Poisoned {
        /// What happened.
        reason: String,
    },
    /// A graph or plan breaks an invariant of the compiler: a defect of onestep itself.
    #[error("the compiler broke an invariant: {what}; please report this")]
    Invariant {
        /// The invariant.
        what: String,
    },
}
