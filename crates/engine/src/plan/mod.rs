//! Plans: kernels in order, each operand with its place in memory.

mod types;

pub use types::{
    Feed, Footprint, Fused, FusedOutput, Instruction, Kernel, NamedPlace, Place, Plan, Region,
    Register, Work,
};
