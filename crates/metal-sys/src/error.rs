//! Statuses of the shim as errors.

use thiserror::Error;

use crate::raw;

/// Why a call into the shim failed. The text says what was wrong, with what was got and wanted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetalError {
    /// An argument that cannot be right: a count, size, index or shape.
    #[error("metal: {0}")]
    InvalidArgument(String),
    /// The device or the host has not enough memory.
    #[error("metal: out of memory: {0}")]
    OutOfMemory(String),
    /// There is no such device.
    #[error("metal: {0}")]
    NoDevice(String),
    /// Right in itself, but not offered by this system.
    #[error("metal: not supported: {0}")]
    Unsupported(String),
    /// The platform's compiler refused a program.
    #[error("metal: compilation failed: {0}")]
    CompileFailed(String),
    /// The device reported an error while it ran a step.
    #[error("metal: device error: {0}")]
    Device(String),
    /// An earlier step failed and the state is unknown until [`crate::Queue::recover`].
    #[error("metal: {0}")]
    Poisoned(String),
    /// An exception of the platform or a defect of the shim.
    #[error("metal: internal error: {0}")]
    Internal(String),
    /// A wait ended before the step did.
    #[error("metal: {0}")]
    TimedOut(String),
    /// This build has no shim: it is neither for macOS nor made with the feature `headless`.
    #[error("metal: this build has no Metal; build on macOS")]
    Unavailable,
}

impl MetalError {
    /// The error of a status code that is not [`raw::OK`].
    pub(crate) fn from_code(code: i32, message: String) -> Self {
        match code {
            raw::INVALID_ARGUMENT => MetalError::InvalidArgument(message),
            raw::OUT_OF_MEMORY => MetalError::OutOfMemory(message),
            raw::NO_DEVICE => MetalError::NoDevice(message),
            raw::UNSUPPORTED => MetalError::Unsupported(message),
            raw::COMPILE_FAILED => MetalError::CompileFailed(message),
            raw::DEVICE_ERROR => MetalError::Device(message),
            raw::POISONED => MetalError::Poisoned(message),
            raw::TIMED_OUT => MetalError::TimedOut(message),
            _ => MetalError::Internal(message),
        }
    }
}
