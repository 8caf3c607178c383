//! Tiles of any size of a product of packed panels.

use std::mem::MaybeUninit;

use crate::kernels::micro::{Destination, Left, Rows, TileBuffer, product, side_by_side};
use crate::simd::{Simd, VECTORS};
use crate::stores::put;

/// One tile of a product of packed panels.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) left: Left,
    /// A packed panel and its width.
    pub(super) right: (*const f32, usize),
    pub(super) inner: usize,
    pub(super) height: usize,
    pub(super) columns: usize,
    pub(super) accumulate: bool,
}

impl Block {
    /// Writes the tile to a matrix whose rows are `row` elements apart.
    ///
    /// # Safety
    /// The panels are packed for `S`, and the matrix has `height` rows and `columns` columns.
    #[inline(always)]
    pub(super) unsafe fn multiply<S: Simd>(self, to: *mut f32, row: usize) {
        let lanes = S::LANES;
        let vectors = self.columns.div_ceil(lanes);
        let columns = side_by_side(lanes);
        let right = Rows {
            vectors: columns.map(|c| self.right.0.wrapping_add(c)),
            channels: self.inner,
            plane: self.right.1,
            taps: &[0],
        };
        // A tile that ends within a vector goes to the matrix by way of a buffer.
        let mut buffer = MaybeUninit::<TileBuffer>::uninit();
        let direct = self.columns == vectors * lanes;
        let (from, width) = (buffer.as_mut_ptr().cast::<f32>(), VECTORS * lanes);
        let out = if direct {
            Destination { to, row, columns, accumulate: self.accumulate }
        } else {
            Destination { to: from, row: width, columns, accumulate: false }
        };
        // SAFETY: the caller vouches for the panels and the matrix; the product has written the
        // tile to the buffer when it is read.
        unsafe {
            product::<S>((self.height, vectors), self.left, right, out);
            if direct {
                return;
            }
            for r in 0..self.height {
                for c in 0..self.columns {
                    let (to, x) = (to.add(r * row + c), *from.add(r * width + c));
                    put(to, if self.accumulate { *to + x } else { x });
                }
            }
        }
    }
}
