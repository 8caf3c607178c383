//! Packing: operands of a matrix product in the order in which its inner loop reads them.

use super::micro::MAX_ROWS;
use crate::simd::{MAX_LANES, Simd, transpose};

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

/// How many numbers that lie side by side in memory are read before the next run of them: enough
/// for the hardware to fetch ahead, whatever the distance from one run to the next.
const RUN: usize = 1 << 10;

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
    let step = if from.row == 1 { RUN.next_multiple_of(width) } else { width };
    let mut first = 0;
    while first < rows {
        let count = step.min(rows - first);
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let (from, out) = (from.from(first, 0), out.add(first * inner));
            if from.row == 1 {
                pack_runs::<S>(from, count, inner, width, out);
            } else if from.column == 1 {
                turn_panel::<S>((from.data, from.row), count, inner, width, out);
            } else {
                gather_panel(from, count, inner, width, out);
            }
        }
        first += step;
    }
}

/// Packs panels whose rows lie side by side, inner index by inner index.
#[inline(always)]
unsafe fn pack_runs<S: Simd>(
    from: Matrix,
    rows: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
) {
    for k in 0..inner {
        let mut first = 0;
        while first < rows {
            // SAFETY: the caller vouches for the memory.
            unsafe {
                let run = from.data.add(k * from.column + first);
                copy_row::<S>(run, width.min(rows - first), width, out.add(first * inner + k * width));
            }
            first += width;
        }
    }
}

/// Packs a panel whose rows are each contiguous: transposes them in registers.
#[inline(always)]
unsafe fn turn_panel<S: Simd>(
    (from, row): (*const f32, usize),
    count: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
) {
    const { assert!(MAX_ROWS <= MAX_LANES) };
    // SAFETY: the caller vouches for the memory; `transpose` writes whole vectors, so that it can
    // write a panel of such itself, and one of less than a vector by way of a buffer.
    unsafe {
        if width.is_multiple_of(S::LANES) {
            if count.next_multiple_of(S::LANES) < width {
                std::ptr::write_bytes(out, 0, width * inner);
            }
            transpose::<S>((from, row), (count, inner), (out, width));
            return;
        }
        let mut buffer = [0.0f32; MAX_LANES * MAX_LANES];
        let mut k = 0;
        while k < inner {
            let steps = S::LANES.min(inner - k);
            let vectors = count.next_multiple_of(S::LANES);
            transpose::<S>((from.add(k), row), (count, steps), (buffer.as_mut_ptr(), vectors));
            for step in 0..steps {
                let (to, from) = (out.add((k + step) * width), buffer.as_ptr().add(step * vectors));
                std::ptr::copy_nonoverlapping(from, to, width);
            }
            k += steps;
        }
    }
}

/// Packs a panel element by element.
#[inline(always)]
unsafe fn gather_panel(from: Matrix, count: usize, inner: usize, width: usize, out: *mut f32) {
    // SAFETY: the caller vouches for the memory.
    unsafe {
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
