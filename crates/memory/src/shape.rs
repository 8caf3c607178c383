//! Shapes: the dimensions of a tensor, kept inline.

use std::fmt;
use std::ops::Deref;

use crate::MemoryError;

/// The most dimensions a tensor may have.
pub const MAX_RANK: usize = 6;

/// The dimensions of a tensor, outermost first. Holds up to [`MAX_RANK`] of them without heap
/// memory; it dereferences to a slice.
///
/// ```
/// use onestep_memory::{MemoryError, Shape};
///
/// let image = Shape::new(&[3, 32, 32])?;
/// assert_eq!(image.elements(), 3072);
/// assert_eq!(image.strides()[..], [1024, 32, 1]);
/// assert_eq!(image.with_batch(8)?, [8, 3, 32, 32]);
/// assert_eq!(image.broadcast(&Shape::from([3, 1, 1]))?, image);
/// assert_eq!(image.to_string(), "[3, 32, 32]");
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    // Dimensions past the rank are zero, so that the derived Eq and Hash see only real ones.
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// A shape of these dimensions.
    ///
    /// # Errors
    /// [`MemoryError::RankTooLarge`] beyond [`MAX_RANK`] dimensions, and
    /// [`MemoryError::ShapeOverflow`] if the number of elements does not fit a `usize`.
    pub fn new(dims: &[usize]) -> Result<Shape, MemoryError> {
        if dims.len() > MAX_RANK {
            return Err(MemoryError::RankTooLarge { rank: dims.len(), max: MAX_RANK });
        }
        let shape = Shape::from_checked_rank(dims);
        // Zeros are left out, so that the strides of an empty tensor cannot overflow either.
        let product = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim.max(1)));
        match product {
            Some(_) => Ok(shape),
            None => Err(MemoryError::ShapeOverflow { shape }),
        }
    }

    /// The shape of a single number: no dimensions, one element.
    pub const fn scalar() -> Shape {
        Shape { dims: [0; MAX_RANK], rank: 0 }
    }

    fn from_checked_rank(dims: &[usize]) -> Shape {
        let mut shape = Shape { dims: [0; MAX_RANK], rank: dims.len() };
        shape.dims[..dims.len()].copy_from_slice(dims);
        shape
    }

    /// The number of dimensions.
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// The dimensions, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.rank]
    }

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    ///
    /// A shape made [`From`] an array is not checked for overflow; there the count saturates at
    /// `usize::MAX`, which no allocation accepts.
    pub fn elements(&self) -> usize {
        if self.contains(&0) {
            return 0;
        }
        self.iter().fold(1, |product, &dim| product.saturating_mul(dim))
    }

    /// The distance, in elements, between neighbours along each axis of a contiguous row-major
    /// tensor.
    pub fn strides(&self) -> Strides {
        let mut values = [0; MAX_RANK];
        let mut stride = 1usize;
        for axis in (0..self.rank).rev() {
            values[axis] = stride;
            stride = stride.saturating_mul(self.dims[axis].max(1));
        }
        Strides { values, rank: self.rank }
    }

    /// The shape of an elementwise operation on `self` and `other`, by numpy's rule: shapes are
    /// aligned at the last axis, and a missing or unit dimension stretches to the other's.
    ///
    /// # Errors
    /// [`MemoryError::BroadcastMismatch`] if two aligned dimensions differ and neither is 1;
    /// [`MemoryError::ShapeOverflow`] if the result has too many elements.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, MemoryError> {
        let rank = self.rank.max(other.rank);
        let mut dims = [0; MAX_RANK];
        for (from_end, dim) in dims[..rank].iter_mut().rev().enumerate() {
            *dim = match (self.dim_from_end(from_end), other.dim_from_end(from_end)) {
                (left, right) if left == right => left,
                (1, stretched) | (stretched, 1) => stretched,
                _ => {
                    let (left, right) = (self.clone(), other.clone());
                    return Err(MemoryError::BroadcastMismatch { left, right });
                }
            };
        }
        Shape::new(&dims[..rank])
    }

    fn dim_from_end(&self, from_end: usize) -> usize {
        self.dims().iter().rev().nth(from_end).copied().unwrap_or(1)
    }

    /// This shape with one axis left out, as after a reduction.
    ///
    /// # Errors
    /// [`MemoryError::AxisOutOfRange`] if there is no such axis.
    pub fn without_axis(&self, axis: usize) -> Result<Shape, MemoryError> {
        if axis >= self.rank {
            return Err(MemoryError::AxisOutOfRange { axis, shape: self.clone() });
        }
        let mut shape = self.clone();
        shape.dims.copy_within(axis + 1.., axis);
        shape.dims[MAX_RANK - 1] = 0;
        shape.rank -= 1;
        Ok(shape)
    }

    /// The shape of `batch` samples of this shape: `[batch, ...self]`.
    ///
    /// # Errors
    /// As for [`Shape::new`].
    pub fn with_batch(&self, batch: usize) -> Result<Shape, MemoryError> {
        if self.rank == MAX_RANK {
            return Err(MemoryError::RankTooLarge { rank: MAX_RANK + 1, max: MAX_RANK });
        }
        let mut dims = [batch; MAX_RANK];
        dims[1..=self.rank].copy_from_slice(self.dims());
        Shape::new(&dims[..=self.rank])
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.dims()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// More than [`MAX_RANK`] dimensions do not compile. See [`Shape::elements`] for overflow.
    fn from(dims: [usize; N]) -> Shape {
        const { assert!(N <= MAX_RANK, "a shape has at most 6 dimensions") };
        Shape::from_checked_rank(&dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

impl TryFrom<&[usize]> for Shape {
    type Error = MemoryError;

    fn try_from(dims: &[usize]) -> Result<Shape, MemoryError> {
        Shape::new(dims)
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.dims() == other
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.iter().enumerate() {
            let separator = if axis > 0 { ", " } else { "" };
            write!(f, "{separator}{dim}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    /// On one line even in pretty-printed structures: a shape is one datum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Strides in elements, one an axis; dereferences to a slice. Made by [`Shape::strides`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    values: [usize; MAX_RANK],
    rank: usize,
}

impl Deref for Strides {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.values[..self.rank]
    }
}
