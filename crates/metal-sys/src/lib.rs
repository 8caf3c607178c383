//! Bindings to the shim over Metal and MPSGraph: [`raw`] is the C interface, the rest owns its
//! handles and turns its statuses into [`MetalError`].
//!
//! The shim is built on macOS and, with the feature `headless`, over a CPU implementation of Apple's
//! frameworks for tests. Everywhere else this crate compiles too, and [`Device::count`] is 0: every
//! constructor returns [`MetalError::Unavailable`].
//!
//! ```
//! use onestep_metal_sys::{Device, MetalError, Storage};
//!
//! # fn main() -> Result<(), MetalError> {
//! let Ok(device) = Device::open(0) else { return Ok(()) };
//! let buffer = device.buffer(8, Storage::Shared)?;
//! buffer.write(0, &[1, 2, 3, 4])?;
//! let mut bytes = [0; 2];
//! buffer.read(1, &mut bytes)?;
//! assert_eq!(bytes, [2, 3]);
//! # Ok(())
//! # }
//! ```

mod buffer;
mod completion;
mod derivative;
mod device;
mod error;
mod graph;
mod handle;
mod native;
mod op_code;
mod optimizer;
mod program;
mod queue;
pub mod raw;
mod ticket;

pub use buffer::{Buffer, BufferRef, Storage};
pub use completion::Complete;
pub use derivative::append_gradients;
pub use device::{Device, DeviceInfo, Statistics};
pub use error::MetalError;
pub use graph::{DType, NodeDescription};
pub use op_code::OpCode;
pub use optimizer::{Adam, OptimizerTensor, RmsProp, Sgd};
pub use program::{
    ConvolutionPath, Output, Program, ProgramDescription, ProgramInfo, State, StepArguments,
};
pub use queue::{Copy, Queue};
pub use ticket::{Reports, Ticket};

/// Whether the native library is part of this build.
pub const AVAILABLE: bool = cfg!(onestep_shim);
