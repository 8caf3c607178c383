//! What kernels are lowered for.

use crate::simd::Level;

/// The threads that share the work of a kernel, and the instructions that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Threads, the caller included.
    pub(crate) threads: usize,
    pub(crate) level: Level,
}
