//! What an executor runs: kernels in order, each operand with its place in memory.

use onestep_memory::{DType, MAX_RANK, Shape};

use crate::graph::{Phase, Type};
use crate::ops::{Binary, Compare, ConstantData, Op, ReduceKind, Unary};

/// A stretch of memory whose base address an executor knows at the start of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// The planned arena of intermediate values.
    Arena,
    /// A fed tensor, by its position in [`super::Plan::feeds`].
    Feed(usize),
    /// A buffer of the state table, by its position in [`super::Plan::states`].
    State(usize),
    /// A constant, by its position in [`super::Plan::constants`].
    Constant(usize),
    /// The step's scalars, f32 each, in the order of [`super::Plan::scalars`].
    Scalars,
}

/// Where a value lies: `region + offset`, with a stride in elements for each axis. A stride of 0
/// repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The stretch of memory.
    pub region: Region,
    /// Bytes from its start.
    pub offset: usize,
    /// The element type.
    pub dtype: DType,
    /// The logical shape.
    pub shape: Shape,
    /// Elements between neighbours along each axis; the first `shape.rank()` count.
    pub strides: [usize; MAX_RANK],
}

impl Place {
    /// A contiguous place.
    pub fn contiguous(region: Region, offset: usize, ty: &Type) -> Self {
        let mut strides = [0; MAX_RANK];
        strides[..ty.shape.rank()].copy_from_slice(&ty.shape.strides());
        Place { region, offset, dtype: ty.dtype, shape: ty.shape.clone(), strides }
    }

    /// The strides of the axes there are.
    pub fn strides(&self) -> &[usize] {
        &self.strides[..self.shape.rank()]
    }

    /// The bytes of its region that it touches: from its first to behind its last element.
    pub fn span(&self) -> (usize, usize) {
        if self.shape.elements() == 0 {
            return (self.offset, self.offset);
        }
        let axes = self.shape.dims().iter().zip(self.strides());
        let last: usize = axes.map(|(&dim, &stride)| (dim - 1) * stride).sum();
        (self.offset, self.offset + (last + 1) * self.dtype.size())
    }

    /// Whether two places touch the same bytes.
    pub fn overlaps(&self, other: &Place) -> bool {
        let (a, b) = (self.span(), other.span());
        self.region == other.region && a.0 < b.1 && b.0 < a.1
    }

    /// Whether the elements lie in row-major order without gaps. Axes of size 1 do not count.
    pub fn is_contiguous(&self) -> bool {
        let wanted = self.shape.strides();
        let axes = self.shape.dims().iter().zip(self.strides().iter().zip(wanted.iter()));
        self.shape.elements() == 0 || axes.into_iter().all(|(&d, (s, w))| d == 1 || s == w)
    }
}

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

/// What a kernel does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A fused elementwise program.
    Fused(Fused),
    /// One op that is no elementwise function. Operands are contiguous but for those of a matrix
    /// product, which may have any strides; the result is contiguous.
    Op {
        /// The op.
        op: Op,
        /// Where its operands lie.
        inputs: Vec<Place>,
        /// Where its result goes.
        output: Place,
    },
}

/// One kernel of a plan. A result may lie exactly on an operand of a fused kernel; otherwise
/// results and operands do not overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// What it does.
    pub work: Work,
    /// The layer or op it comes from, for dumps and profiles.
    pub label: String,
    /// The part of the step that it belongs to: the last of those of its nodes.
    pub phase: Phase,
}

impl Kernel {
    /// The places it reads.
    pub fn reads(&self) -> Vec<&Place> {
        match &self.work {
            Work::Fused(fused) => fused
                .code
                .iter()
                .filter_map(|i| match i {
                    Instruction::Load(place) => Some(place),
                    _ => None,
                })
                .collect(),
            Work::Op { inputs, .. } => inputs.iter().collect(),
        }
    }

    /// The places it writes.
    pub fn writes(&self) -> Vec<&Place> {
        match &self.work {
            Work::Fused(fused) => fused.outputs.iter().map(|o| &o.place).collect(),
            Work::Op { output, .. } => vec![output],
        }
    }
}

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
    /// The names of the state table's buffers that [`Region::State`] counts.
    pub states: Vec<String>,
    /// Constants, in the order that [`Region::Constant`] counts.
    pub constants: Vec<ConstantData>,
    /// The scalars of the ticket: the loss, then the program's reports, then the update's.
    pub reports: Vec<NamedPlace>,
    /// What can be read after the step. All are contiguous and stay until the next step.
    pub outputs: Vec<NamedPlace>,
    /// Memory.
    pub footprint: Footprint,
}
