//! Packing: operands of a matrix product in the order in which its inner loop reads them.

use crate::simd::Simd;

/// A matrix in memory with any strides, in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Matrix {
    /// The matrix from an element on.
    ///
    /// # Safety
    /// The element is there.
    pub(super) unsafe fn from(self, row: usize, column: usize) -> Matrix {
        // SAFETY: the caller vouches for the element.
        let data = unsafe { self.data.add(row * self.row + column * self.column) };
        Matrix { data, ..self }
    }

    /// The transposed matrix.
    pub(super) fn transposed(self) -> Matrix {
        Matrix { data: self.data, row: self.column, column: self.row }
    }
}

/// How many steps of the inner index are transposed at a time.
const BLOCK: usize = 16;

/// Packs a `rows` x `inner` matrix into panels of `width` rows: for each panel and each inner
/// index its `width` numbers, zeros behind the last row. Packing the transpose packs columns.
///
/// # Safety
/// The machine has `S`. The matrix has the elements; `out` has room for `rows` rounded up to `width`, times `inner`.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd>(
    from: Matrix,
    rows: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
) {
    let mut panel = out;
    let mut first = 0;
    while first < rows {
        let count = width.min(rows - first);
        // SAFETY: the caller vouches for the memory.
        unsafe {
            pack_panel::<S>(from.from(first, 0), count, inner, width, panel);
            panel = panel.add(width * inner);
        }
        first += width;
    }
}

#[inline(always)]
unsafe fn pack_panel<S: Simd>(
    from: Matrix,
    count: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
) {
    // SAFETY: the caller vouches for the memory.
    unsafe {
        if from.row == 1 {
            for k in 0..inner {
                copy_row::<S>(from.data.add(k * from.column), count, width, out.add(k * width));
            }
            return;
        }
        if count < width {
            std::ptr::write_bytes(out, 0, width * inner);
        }
        let mut k = 0;
        while k < inner {
            let steps = BLOCK.min(inner - k);
            for r in 0..count {
                let source = from.data.add(r * from.row + k * from.column);
                let to = out.add(k * width + r);
                for step in 0..steps {
                    *to.add(step * width) = *source.add(step * from.column);
                }
            }
            k += steps;
        }
    }
}

/// Copies `count` numbers that lie side by side, and zeros up to `width`.
#[inline(always)]
unsafe fn copy_row<S: Simd>(from: *const f32, count: usize, width: usize, to: *mut f32) {
    let mut i = 0;
    // SAFETY: the caller vouches for the memory.
    unsafe {
        while i + S::LANES <= count {
            S::store(to.add(i), S::load(from.add(i)));
            i += S::LANES;
        }
        while i < width {
            *to.add(i) = if i < count { *from.add(i) } else { 0.0 };
            i += 1;
        }
    }
}
