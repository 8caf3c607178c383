//! Where values lie in memory.

use onestep_memory::{DType, MAX_RANK, Shape};

use super::view::is_contiguous;
use crate::graph::Type;

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
        is_contiguous(&self.shape, &self.strides)
    }
}
