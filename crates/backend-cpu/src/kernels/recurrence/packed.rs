//! A matrix in panels of as many columns as a tile has, packed once for all steps.

use crate::cpu_kernel::part;
use crate::kernels::micro::{Destination, Left, Rows, product, side_by_side};
use crate::simd::{MAX_LANES, Simd, VECTORS, transpose};
use crate::stores::{copy, zeros};

/// A right-hand side `[inner, columns]`, packed from what lies so or transposed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) inner: usize,
    pub(super) columns: usize,
    /// Whether it lies as `[columns, inner]`.
    pub(super) turned: bool,
}

impl Packed {
    /// Elements of its panels, for any instruction set.
    pub(super) fn elements(self) -> usize {
        self.columns.next_multiple_of(VECTORS * MAX_LANES) * self.inner
    }

    /// Packs the panels that are part `index` of `parts`.
    ///
    /// # Safety
    /// The machine has `S`, the matrix is there, and `to` has room for it.
    #[inline(always)]
    pub(super) unsafe fn pack<S: Simd>(
        self,
        from: *const f32,
        to: *mut f32,
        (index, parts): (usize, usize),
    ) {
        let width = VECTORS * S::LANES;
        let (first, end) = part(self.columns.div_ceil(width), parts, index, 1);
        for panel in first..end {
            let column = panel * width;
            let wide = width.min(self.columns - column);
            let to = to.wrapping_add(panel * width * self.inner);
            // SAFETY: the caller vouches for the matrix.
            unsafe {
                if self.turned {
                    let from = (from.add(column * self.inner), self.inner);
                    transpose::<S>(from, (wide, self.inner), (to, width));
                }
                for k in 0..self.inner {
                    let row = to.add(k * width);
                    if !self.turned {
                        copy(from.add(k * self.columns + column), row, wide);
                    }
                    zeros(row.add(wide), width - wide);
                }
            }
        }
    }

    /// `out [rows, columns] (+)= left [rows, inner] self`, the columns in whole vectors. Rows are `left_row` and
    /// `out_row` elements apart.
    ///
    /// # Safety
    /// The machine has `S`, this is packed at `at`, and the operands are there.
    #[inline(always)]
    pub(super) unsafe fn multiply<S: Simd>(
        self,
        at: *const f32,
        rows: usize,
        (left, left_row): (*const f32, usize),
        (out, out_row): (*mut f32, usize),
        accumulate: bool,
    ) {
        let width = VECTORS * S::LANES;
        for column in (0..self.columns).step_by(width) {
            let vectors = width.min(self.columns - column).div_ceil(S::LANES);
            let panel = at.wrapping_add(column * self.inner);
            let columns = side_by_side(S::LANES);
            let right = Rows {
                vectors: columns.map(|v| panel.wrapping_add(v)),
                channels: self.inner,
                plane: width,
                taps: &[0],
            };
            for row in (0..rows).step_by(S::ROWS) {
                let tall = S::ROWS.min(rows - row);
                let left = Left { at: left.wrapping_add(row * left_row), row: left_row, step: 1 };
                let to = out.wrapping_add(row * out_row + column);
                let to = Destination { to, row: out_row, columns, accumulate };
                // SAFETY: the caller vouches for the operands.
                unsafe { product::<S>((tall, vectors), left, right, to) };
            }
        }
    }
}
