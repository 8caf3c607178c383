//! What can go wrong when the executor is made. What goes wrong in a step is an
//! [`onestep_engine::EngineError`].

use crate::simd::Level;

/// An executor that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpuError {
    /// No thread to run on.
    #[error("the cpu executor needs at least one thread, got 0")]
    NoThreads,
    /// More threads than the pool can count.
    #[error("the cpu executor runs at most {most} threads, got {got}")]
    TooManyThreads {
        /// The limit.
        most: usize,
        /// The number asked for.
        got: usize,
    },
    /// The system refused a thread.
    #[error("worker thread {worker} could not be started: {reason}")]
    Spawn {
        /// Which worker, from 1.
        worker: usize,
        /// What the system said.
        reason: String,
    },
    /// This machine lacks the instructions that were asked for.
    #[error("this machine has no {wanted} instructions; its best level is {best}")]
    MissingInstructions {
        /// The level asked for.
        wanted: Level,
        /// The best there is.
        best: Level,
    },
}
