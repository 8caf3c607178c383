//! A fused program as the interpreter runs it.

use onestep_engine::DType;
use onestep_engine::ops::{Binary, Compare, ReduceKind, Unary};

use super::TILE;
use super::domain::{Domain, Index, Strides};
use super::maps::Ternary;
use super::quads::Quaternary;
use crate::cpu_kernel::{Address, Context};
use crate::stores::Window;

/// Where the elements of an operand lie as the merged axes are walked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) address: Address,
    pub(super) dtype: DType,
    pub(super) strides: Strides,
    /// In row-major order without gaps.
    pub(super) contiguous: bool,
}

impl View {
    /// Where elements `from..to` of the domain lie, or all between the first and the last of them.
    pub(super) fn window(
        &self,
        domain: &Domain,
        (from, to): (usize, usize),
        context: &Context<'_>,
    ) -> Window {
        let (base, size) = (context.at(self.address), self.dtype.size());
        if self.contiguous {
            return Window::run(base.wrapping_add(from * size), (to - from) * size);
        }
        let ends = domain.dims().iter().zip(&self.strides);
        let last: usize = ends.map(|(&dim, &stride)| dim.saturating_sub(1) * stride).sum();
        Window::run(base, (last + 1) * size)
    }
}

/// An operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A register: a tile of elements.
    Tile(usize),
    /// A number that is the same for all elements.
    Uniform(usize),
}

/// What an instruction computes from its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compute {
    Fill(Source),
    Unary(Unary, Source),
    Binary(Binary, Source, Source),
    Compare(Compare, Source, Source),
    Ternary(Ternary, [Source; 3]),
    Quaternary(Quaternary, [Source; 4]),
    Round(DType, Source),
}

impl Compute {
    /// The operands.
    pub(super) fn sources(&self) -> impl Iterator<Item = Source> + use<> {
        let all = match *self {
            Compute::Fill(a) | Compute::Unary(_, a) | Compute::Round(_, a) => {
                [Some(a), None, None, None]
            }
            Compute::Binary(_, a, b) | Compute::Compare(_, a, b) => [Some(a), Some(b), None, None],
            Compute::Ternary(_, [a, b, c]) => [Some(a), Some(b), Some(c), None],
            Compute::Quaternary(_, sources) => sources.map(Some),
        };
        all.into_iter().flatten()
    }
}

/// How the elements of a load reach those that read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Copied to a tile.
    Copied,
    /// Where they lie, if they lie side by side.
    InPlace,
    /// In place, and as one number where the tile repeats it: only instructions read them.
    AsNumber,
}

/// One instruction for a tile. Each writes the register of its own number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Elements of a view.
    Load { view: View, how: Reading },
    /// Random numbers by position.
    Random { stream: u32 },
    /// A function of other registers.
    Compute(Compute),
}

impl Step {
    /// The registers that it reads.
    pub(super) fn registers(&self) -> impl Iterator<Item = usize> + use<> {
        let compute = match self {
            Step::Compute(compute) => Some(*compute),
            Step::Load { .. } | Step::Random { .. } => None,
        };
        compute.into_iter().flat_map(|c| c.sources()).filter_map(|source| match source {
            Source::Tile(register) => Some(register),
            Source::Uniform(_) => None,
        })
    }
}

/// An instruction outside the loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum UniformStep {
    Number(f32),
    Load(Address, DType),
    Compute(Compute),
}

/// Where a register's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In a tile of scratch memory.
    Slot(usize),
    /// Where store `0..` of the program puts them anyway.
    Store(usize),
}

/// A register that is written to memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Store {
    pub(super) register: usize,
    pub(super) view: View,
    /// The register has its home there, so nothing is left to do.
    pub(super) in_place: bool,
    /// In place, and no load reads any of what is overwritten.
    pub(super) fresh: bool,
}

/// A register that is reduced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reduction {
    pub(super) register: usize,
    pub(super) kind: ReduceKind,
    /// The result: strides are 0 along reduced axes.
    pub(super) view: View,
    /// The same for a result without gaps, in elements of an accumulator.
    pub(super) kept: Strides,
    /// Elements of the result.
    pub(super) count: usize,
}

/// A fused program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Program {
    pub(super) domain: Domain,
    /// Outside the loop, in order, with the number that each defines.
    pub(super) uniforms: Vec<(usize, UniformStep)>,
    /// In the loop, in order, with the register that each defines.
    pub(super) steps: Vec<(usize, Step)>,
    /// The home of each register that has one.
    pub(super) homes: Vec<Option<Home>>,
    /// Tiles of scratch memory.
    pub(super) slots: usize,
    pub(super) stores: Vec<Store>,
    pub(super) reductions: Vec<Reduction>,
    /// Whether anything needs the multi-index.
    pub(super) walks: bool,
    /// Whether a tile ends where a row of the domain does.
    pub(super) by_rows: bool,
}

impl Program {
    /// Registers, uniform numbers included: both are counted as in the plan's program.
    pub(super) fn registers(&self) -> usize {
        self.homes.len()
    }

    /// The most elements of a tile that begins at an index.
    #[inline(always)]
    pub(super) fn tile_from(&self, index: &Index) -> usize {
        if self.by_rows {
            TILE.min(self.domain.inner() - index[self.domain.rank() - 1])
        } else {
            TILE
        }
    }
}
