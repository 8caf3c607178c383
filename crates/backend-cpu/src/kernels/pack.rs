//! Packing: operands of a matrix product in the order in which its inner loop reads them.

use crate::simd::{MAX_LANES, Simd, Task, VECTORS, transpose};
use crate::stores::{copy, put, zeros};

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
const RUN: usize = 384;

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
    // SAFETY: the caller vouches for the instructions and the memory.
    unsafe { S::call(Pack { from, rows, inner, width, out }) };
}

/// The arguments of [`pack`]. It is a function of its own, so that the products between which
/// operands are packed are inlined where they are called: there are many more of them.
struct Pack {
    from: Matrix,
    rows: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
}

impl Task for Pack {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Pack { from, rows, inner, width, out } = self;
        let step = if from.row == 1 { RUN.next_multiple_of(width) } else { width };
        let mut first = 0;
        while first < rows {
            let count = step.min(rows - first);
            // SAFETY: the caller of `pack` vouches for the memory.
            unsafe {
                let (from, out) = (from.from(first, 0), out.add(first * inner));
                if from.row == 1 {
                    pack_runs::<S>(from, count, inner, width, out);
                } else if from.column == 1 {
                    turn_panel::<S>(from, count, inner, width, out);
                } else {
                    gather_panel(from, count, inner, width, out);
                }
            }
            first += step;
        }
    }
}

/// Packs panels whose rows lie side by side, inner index by inner index.
#[inline(always)]
unsafe fn pack_runs<S: Simd>(from: Matrix, rows: usize, inner: usize, width: usize, out: *mut f32) {
    let whole = rows / width * width;
    for k in 0..inner {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let run = from.data.add(k * from.column);
            let mut to = out.add(k * width);
            for first in (0..whole).step_by(width) {
                copy_whole::<S>(run.add(first), width, to);
                to = to.add(inner * width);
            }
            if whole < rows {
                for i in 0..rows - whole {
                    put(to.add(i), *run.add(whole + i));
                }
                for i in rows - whole..width {
                    put(to.add(i), 0.0);
                }
            }
        }
    }
}

/// Packs a panel whose rows are each contiguous: transposes them in registers.
#[inline(always)]
unsafe fn turn_panel<S: Simd>(
    from: Matrix,
    count: usize,
    inner: usize,
    width: usize,
    out: *mut f32,
) {
    let whole = inner / S::LANES * S::LANES;
    // SAFETY: the caller vouches for the memory; `transpose` writes whole vectors, so that it can
    // write a panel of such itself, and another by way of a buffer.
    unsafe {
        if width.is_multiple_of(S::LANES) {
            if count.next_multiple_of(S::LANES) < width {
                zeros(out, width * whole);
            }
            transpose::<S>((from.data, from.row), (count, whole), (out, width));
        } else {
            let mut buffer = [0.0f32; MAX_LANES * MAX_LANES];
            let row = width.next_multiple_of(S::LANES);
            for k in (0..whole).step_by(S::LANES) {
                let corner = from.from(0, k).data;
                transpose::<S>((corner, from.row), (count, S::LANES), (buffer.as_mut_ptr(), row));
                for step in 0..S::LANES {
                    let turned = buffer.as_ptr().add(step * row);
                    copy_whole::<S>(turned, width, out.add((k + step) * width));
                }
            }
        }
        gather_panel(from.from(0, whole), count, inner - whole, width, out.add(whole * width));
    }
}

/// Packs a panel element by element.
#[inline(always)]
unsafe fn gather_panel(from: Matrix, count: usize, inner: usize, width: usize, out: *mut f32) {
    // SAFETY: the caller vouches for the memory.
    unsafe {
        if count < width {
            zeros(out, width * inner);
        }
        let mut k = 0;
        while k < inner {
            let steps = BLOCK.min(inner - k);
            for r in 0..count {
                let source = from.data.add(r * from.row + k * from.column);
                let to = out.add(k * width + r);
                for step in 0..steps {
                    put(to.add(step * width), *source.add(step * from.column));
                }
            }
            k += steps;
        }
    }
}

/// Copies the `width` numbers of a panel that lie side by side. Of a size that compilers know, that
/// is a few instructions.
#[inline(always)]
unsafe fn copy_whole<S: Simd>(from: *const f32, width: usize, to: *mut f32) {
    // SAFETY: the caller vouches for the memory.
    unsafe {
        if width == VECTORS * S::LANES {
            let mut v = 0;
            while v < VECTORS {
                S::store(to.add(v * S::LANES), S::load(from.add(v * S::LANES)));
                v += 1;
            }
        } else if width == S::ROWS {
            copy(from, to, S::ROWS);
        } else {
            copy(from, to, width);
        }
    }
}
