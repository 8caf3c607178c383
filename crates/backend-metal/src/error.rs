//! What can go wrong when the executor is made, and how the shim's errors reach the engine.

use onestep_engine::EngineError;
use onestep_memory::MemoryError;
use onestep_metal_sys::MetalError;

use crate::device::MetalDevice;

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

/// The shim's error as the engine's. `doing` is what failed, such as `the step`.
pub(crate) fn engine_error(device: &MetalDevice, doing: &str, error: MetalError) -> EngineError {
    match error {
        MetalError::OutOfMemory(_) => out_of_memory(device, &error, 0).into(),
        // The shim's text says which step failed first, and why.
        MetalError::Poisoned(reason) => EngineError::Poisoned { reason },
        MetalError::Device(_) => EngineError::Poisoned { reason: error.to_string() },
        _ => unsupported(doing, error.to_string()),
    }
}

/// The shim's failure to give memory.
pub(crate) fn out_of_memory(
    device: &MetalDevice,
    error: &MetalError,
    requested: usize,
) -> MemoryError {
    MemoryError::DeviceOutOfMemory {
        // The memory's errors have no place for a text of the platform but this.
        device: format!("{} ({error})", onestep_memory::Device::name(device)),
        requested,
        in_use: device.bytes_in_use(),
        limit: onestep_memory::Device::memory_limit(device),
    }
}

/// An error about something that this backend cannot do.
pub(crate) fn unsupported(op: impl Into<String>, reason: impl Into<String>) -> EngineError {
    EngineError::Unsupported { backend: "metal", op: op.into(), reason: reason.into() }
}
