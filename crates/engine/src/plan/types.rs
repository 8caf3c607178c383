//! What an executor is handed: kernels in order, what they are fed, and what they leave.

use super::kernel::Kernel;
use super::place::Place;
use crate::graph::Type;
use crate::ops::ConstantData;

/// A named place, such as an output of the program.
#[derive(Clone, Debug)]
pub struct NamedPlace {
    /// The name.
    pub name: String,
    /// Where it lies after the step.
    pub place: Place,
}

/// A fed tensor.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The leaf's name.
    pub name: String,
    /// What must be fed.
    pub ty: Type,
}

/// Memory of a plan in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The arena of intermediate values.
    pub arena: usize,
    /// What the intermediate values would take without sharing.
    pub unshared: usize,
    /// The state table: parameters, optimizer state, running statistics.
    pub state: usize,
    /// One batch.
    pub feeds: usize,
    /// Constants.
    pub constants: usize,
}

impl Footprint {
    /// All of it together: what is needed while the step runs.
    pub fn peak(&self) -> usize {
        let parts = [self.state, self.feeds, self.constants];
        parts.into_iter().fold(self.arena, usize::saturating_add)
    }
}

/// A compiled program.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kernels in order.
    pub kernels: Vec<Kernel>,
    /// What is fed, in the order of the program's input leaves.
    pub feeds: Vec<Feed>,
    /// The scalars by name.
    pub scalars: Vec<String>,
    /// The names of the state table's buffers that [`Region::State`](super::Region::State) counts.
    pub states: Vec<String>,
    /// Constants, in the order that [`Region::Constant`](super::Region::Constant) counts.
    pub constants: Vec<ConstantData>,
    /// The scalars of the ticket: the loss, then the program's reports, then the update's.
    pub reports: Vec<NamedPlace>,
    /// What can be read after the step. All are contiguous and stay until the next step.
    pub outputs: Vec<NamedPlace>,
    /// Memory.
    pub footprint: Footprint,
}
