//! What can go wrong when the executor is made, and what it cannot do.

use onestep_engine::EngineError;
use onestep_metal_sys::MetalError;

/// An executor that cannot be made. What goes wrong in a step is an [`EngineError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetalExecutorError {
    /// This build cannot use Metal.
    #[error(
        "this build has no Metal: build on macOS, or for tests elsewhere with the feature \
         `headless`"
    )]
    Unavailable,
    /// No such device.
    #[error("there is no Metal device number {index}: {count} found")]
    NoDevice {
        /// The number asked for, from 0.
        index: u32,
        /// How many devices there are.
        count: u32,
    },
    /// More steps in flight than a queue takes, or none.
    #[error("a Metal queue has 1 to {most} steps in flight, got {got}")]
    InFlight {
        /// The limit.
        most: u32,
        /// The number asked for.
        got: u32,
    },
    /// The device or its queue could not be opened.
    #[error(transparent)]
    Metal(#[from] MetalError),
}

/// An error about something that this backend cannot do.
pub(crate) fn unsupported(op: impl Into<String>, reason: impl Into<String>) -> EngineError {
    EngineError::Unsupported { backend: "metal", op: op.into(), reason: reason.into() }
}
