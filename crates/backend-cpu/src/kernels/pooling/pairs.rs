//! The usual windows: two by two, side by side.

use super::{Planes, larger};
use crate::simd::{MAX_LANES, Simd};
use crate::stores::copy;

impl Planes {
    /// Whether windows are the usual ones.
    #[inline(always)]
    pub(super) fn is_halving(&self) -> bool {
        let w = &self.window;
        (w.size, w.stride, w.pad_low, w.dilation) == ([2; 2], [2; 2], [0; 2], [1; 2])
            && (0..2).all(|axis| 2 * self.output[axis] <= self.input[axis])
    }

    /// [`Planes::pool`] for the usual windows.
    #[inline(always)]
    pub(super) fn pool_pairs<const MAX: bool>(&self, x: &[f32], y: &mut [f32]) {
        let (width, used) = (self.input[1], 2 * self.output[1]);
        for (py, y) in y.chunks_exact_mut(self.output[1].max(1)).enumerate() {
            let (upper, lower) = x[2 * py * width..].split_at(width);
            let pairs = upper[..used].chunks_exact(2).zip(lower[..used].chunks_exact(2));
            for (y, (a, b)) in y.iter_mut().zip(pairs) {
                *y = if MAX {
                    larger(larger(a[0], a[1]), larger(b[0], b[1]))
                } else {
                    a[0] + a[1] + b[0] + b[1]
                };
            }
        }
    }

    /// [`Planes::max_gradient`] for the usual windows, if there is no NaN among their elements,
    /// which is told.
    ///
    /// # Safety
    /// The machine has `S`; the slices are planes.
    #[inline(always)]
    pub(super) unsafe fn max_gradient_pairs<S: Simd>(
        &self,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) -> bool {
        if 2 * self.output[1] < self.input[1] || 2 * self.output[0] < self.input[0] {
            dx.fill(0.0);
        }
        let pieces = Pieces { width: self.input[1], outputs: self.output[1], most: S::LANES / 2 };
        let count = pieces.in_row() * self.output[0];
        // SAFETY: the pieces lie in the planes; the caller vouches for the level.
        unsafe {
            let mut ordered = S::splat(0.0);
            let (x, dx) = (x.as_ptr(), dx.as_mut_ptr());
            for index in (0..count).step_by(2) {
                let one = pieces.get(index);
                let two = if index + 1 < count { pieces.get(index + 1) } else { Piece::default() };
                let whole = one.count + two.count == S::LANES;
                if whole && two.output == one.output + one.count {
                    let places = [one.input, two.input].map(|at| (at, at + self.input[1]));
                    let [(a, c), (b, d)] = places;
                    let from = [a, b, c, d].map(|at| x.add(at));
                    let dy = S::load(dy.as_ptr().add(one.output));
                    share_out::<S>(from, dy, [a, b, c, d].map(|at| dx.add(at)), &mut ordered);
                } else {
                    self.share_out_parts::<S>(x, dy, dx, [one, two], &mut ordered);
                }
            }
            !S::any(S::not(S::eq(ordered, ordered)))
        }
    }

    /// [`share_out`] for pieces of which one is not whole, by way of buffers.
    #[inline(always)]
    unsafe fn share_out_parts<S: Simd>(
        &self,
        x: *const f32,
        dy: &[f32],
        dx: *mut f32,
        pieces: [Piece; 2],
        ordered: &mut S::V,
    ) {
        let mut rows = [[0.0f32; MAX_LANES]; 4];
        let mut given = [0.0f32; MAX_LANES];
        // SAFETY: the caller vouches for the pieces.
        unsafe {
            for (half, piece) in pieces.iter().enumerate() {
                for row in 0..2 {
                    let from = x.add(piece.input + row * self.input[1]);
                    let to = rows[2 * row + half].as_mut_ptr();
                    std::ptr::copy_nonoverlapping(from, to, 2 * piece.count);
                }
                let to = &mut given[half * S::LANES / 2..][..piece.count];
                to.copy_from_slice(&dy[piece.output..piece.output + piece.count]);
            }
            let from = [0, 1, 2, 3].map(|i: usize| rows[i].as_ptr());
            let mut shares = [[0.0f32; MAX_LANES]; 4];
            let [a, b, c, d] = &mut shares;
            let to = [a, b, c, d].map(|row| row.as_mut_ptr());
            share_out::<S>(from, S::load(given.as_ptr()), to, ordered);
            for (half, piece) in pieces.iter().enumerate() {
                for row in 0..2 {
                    let to = dx.add(piece.input + row * self.input[1]);
                    copy(shares[2 * row + half].as_ptr(), to, 2 * piece.count);
                }
            }
        }
    }
}

/// How a plane's outputs are cut: rows into pieces of half a vector, whose elements in each of two
/// rows are a vector. Two pieces, often of different rows, make up a vector of outputs.
#[derive(Clone, Copy)]
struct Pieces {
    /// Columns of the input.
    width: usize,
    /// Columns of the output.
    outputs: usize,
    /// Outputs of a whole piece.
    most: usize,
}

/// Some outputs of a row: where the first is, where the first element of its window is, and how
/// many there are.
#[derive(Clone, Copy, Default)]
struct Piece {
    output: usize,
    input: usize,
    count: usize,
}

impl Pieces {
    fn in_row(self) -> usize {
        self.outputs.div_ceil(self.most)
    }

    #[inline(always)]
    fn get(self, index: usize) -> Piece {
        let (row, column) = (index / self.in_row(), index % self.in_row() * self.most);
        Piece {
            output: row * self.outputs + column,
            input: 2 * (row * self.width + column),
            count: self.most.min(self.outputs - column),
        }
    }
}

/// Gives the gradients of a vector of windows to the first largest element of each, if none is NaN;
/// where one is, `ordered` becomes NaN. The windows' upper elements are two vectors, side by side
/// or not, and so are the lower ones.
#[inline(always)]
unsafe fn share_out<S: Simd>(
    from: [*const f32; 4],
    dy: S::V,
    to: [*mut f32; 4],
    ordered: &mut S::V,
) {
    // SAFETY: the caller vouches for the level and the elements.
    unsafe {
        let zero = S::splat(0.0);
        let (a, b) = S::unzip(S::load(from[0]), S::load(from[1]));
        let (c, d) = S::unzip(S::load(from[2]), S::load(from[3]));
        let best = S::max(S::max(a, b), S::max(c, d));
        let (mut shares, mut left) = ([a, b, c, d], dy);
        for share in &mut shares[..3] {
            let x = *share;
            let wins = S::eq(x, best);
            *share = S::select(wins, left, zero);
            left = S::select(wins, zero, left);
        }
        shares[3] = left;
        for x in [a, b, c, d] {
            *ordered = S::select(S::eq(x, x), *ordered, x);
        }
        let (a, b) = S::zip(shares[0], shares[1]);
        let (c, d) = S::zip(shares[2], shares[3]);
        for (to, share) in to.into_iter().zip([a, b, c, d]) {
            S::store(to, share);
        }
    }
}
