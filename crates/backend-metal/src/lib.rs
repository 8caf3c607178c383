//! The Metal executor of onestep.
//!
//! A [`Program`](onestep_engine::Program) is lowered to the engine's graph of a whole step, which
//! differentiates the loss, translated into the shim's op list and compiled by MPSGraph; after that a
//! step is one native call (`onestep_execute_training_step`) that encodes the executable into one command
//! buffer and returns before the work is done. The loss arrives in the step's
//! [`Ticket`](onestep_engine::Ticket) when the device has finished.
//!
//! - [`MetalDevice`]: memory in shared storage, so that the state table and the staging ring work as
//!   on the CPU, without copies.
//! - [`MetalExecutor`]: compiles programs. [`MetalOptions`] choose the path of convolutions, the
//!   steps in flight and the size of command buffers.
//!
//! The crate compiles everywhere. Without Metal [`MetalExecutor::new`] returns
//! [`MetalExecutorError::Unavailable`]; with the feature `headless` it runs on Linux over a CPU
//! implementation of Apple's frameworks, as the device `metal-headless`, which is for tests.
//!
//! # Memory
//!
//! State, feeds and outputs are tensors of the executor's
//! [`MemoryManager`](onestep_memory::MemoryManager): their sizes are exact, and a budget holds for
//! them. What the compiled graph keeps in between is planned by MPSGraph, which does not tell; the
//! `arena` of the [`Footprint`](onestep_engine::Footprint) is what all intermediate values, gradients
//! included, would take without any sharing. New contents of state go to memory of the program's own,
//! from which they are copied at the end of the step.
//!
//! # After a failure
//!
//! A training step that fails on the device leaves its state half updated, so every further step is
//! refused with [`EngineError::Poisoned`](onestep_engine::EngineError::Poisoned) until the host has
//! written all of that state again, as a checkpoint's restoration does. A call that fails before
//! anything was submitted changes nothing.

mod buffers;
mod counters;
mod device;
mod error;
mod executor;
mod flight;
mod footprint;
mod options;
mod step;
mod sync;
mod translate;

pub use device::MetalDevice;
pub use error::MetalExecutorError;
pub use executor::MetalExecutor;
pub use onestep_metal_sys::Statistics;
pub use options::{ConvolutionPath, MetalOptions};

/// Whether this build can use Metal: on macOS, or with the feature `headless`.
pub const AVAILABLE: bool = onestep_metal_sys::AVAILABLE;
