//! What is bound to a kernel.

use onestep_engine::DType;
use onestep_engine::plan::Region;

/// What a kernel does with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes, and may read what lies there.
    Write,
}

/// What is bound as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Memory of the plan, so many bytes from the start of a region.
    Memory {
        /// The region.
        region: Region,
        /// Bytes from its start.
        offset: usize,
    },
    /// Memory that the launches of one piece of work share, so many bytes from its start:
    /// [`Launches::scratch`](crate::Launches::scratch).
    Scratch {
        /// Bytes from its start.
        offset: usize,
    },
    /// Four 32-bit numbers: the low and high half of the run's seed, then those of the step.
    RandomKey,
}

/// An argument: a pointer to elements of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// What is bound.
    pub role: Role,
    /// The type of its elements.
    pub dtype: DType,
    /// What is done with it.
    pub access: Access,
}
