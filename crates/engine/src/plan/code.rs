//! Elementwise programs: what a fused kernel does.

use onestep_memory::{DType, Shape};

use super::place::Place;
use crate::ops::{Binary, Compare, ReduceKind, Unary};

/// The number of a register of a fused kernel: instruction `i` writes register `i`.
pub type Register = usize;

/// One elementwise instruction of a fused kernel. Registers hold f32.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// The element at the current index; other dtypes are converted to f32.
    Load(Place),
    /// The same number everywhere.
    Splat(f32),
    /// The uniform random number of the current row-major index: see [`crate::philox::uniform`].
    Random {
        /// The random stream.
        stream: u32,
    },
    /// A function of one register.
    Unary(Unary, Register),
    /// A function of two registers.
    Binary(Binary, Register, Register),
    /// 1 where the comparison holds, else 0.
    Compare(Compare, Register, Register),
    /// `condition != 0 ? a : b`.
    Select(Register, Register, Register),
    /// The value as it would be after a store as this dtype and a load.
    Round(DType, Register),
}

impl Instruction {
    /// The registers it reads.
    pub fn operands(&self) -> impl Iterator<Item = Register> + use<> {
        let all = match *self {
            Instruction::Load(_) | Instruction::Splat(_) | Instruction::Random { .. } => [None; 3],
            Instruction::Unary(_, a) | Instruction::Round(_, a) => [Some(a), None, None],
            Instruction::Binary(_, a, b) | Instruction::Compare(_, a, b) => {
                [Some(a), Some(b), None]
            }
            Instruction::Select(c, a, b) => [Some(c), Some(a), Some(b)],
        };
        all.into_iter().flatten()
    }
}

/// What becomes of a register of a fused kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedOutput {
    /// The register.
    pub register: Register,
    /// Where it goes. For a store the shape is the domain; for a reduction the reduced axes are 1.
    /// The register's f32 is converted to the place's dtype.
    pub place: Place,
    /// `None` stores each element; otherwise the axes where `place.shape` is 1 and the domain is
    /// not are reduced.
    pub reduce: Option<ReduceKind>,
}

/// An elementwise program over an iteration space, with stores and reductions at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// The iteration space in row-major order.
    pub domain: Shape,
    /// The program in SSA form.
    pub code: Vec<Instruction>,
    /// What leaves it.
    pub outputs: Vec<FusedOutput>,
}
