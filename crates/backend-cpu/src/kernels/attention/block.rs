//! What is done with a block of queries and keys.

use onestep_engine::ops::{AttentionDropout, ReduceKind};

use super::{Problem, Strided, whole};
use crate::cpu_kernel::Context;
use crate::kernels::micro::{Destination, Left, Rows, product, side_by_side};
use crate::kernels::rows::affine;
use crate::simd::{MAX_LANES, Simd, VECTORS, fill_uniform, fold, math, transpose};
use crate::stores::{copy, elements, zeros};

/// `out [rows, columns] (+)= left [rows, inner] right [inner, columns]`, the columns in whole vectors.
///
/// # Safety
/// The machine has `S`, and the operands are there.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    [rows, inner, columns]: [usize; 3],
    left: Left,
    (right, right_row): (*const f32, usize),
    (out, out_row): (*mut f32, usize),
    accumulate: bool,
) {
    let vectors = whole::<S>(columns) / S::LANES;
    for first in (0..vectors).step_by(VECTORS) {
        let wide = VECTORS.min(vectors - first);
        let columns = side_by_side(S::LANES);
        let right = right.wrapping_add(first * S::LANES);
        let right = Rows {
            vectors: columns.map(|column| right.wrapping_add(column)),
            channels: inner,
            plane: right_row,
            taps: &[0],
        };
        for row in (0..rows).step_by(S::ROWS) {
            let tall = S::ROWS.min(rows - row);
            let left = Left { at: left.at.wrapping_add(row * left.row), ..left };
            let to = out.wrapping_add(row * out_row + first * S::LANES);
            // SAFETY: the caller vouches for the operands.
            unsafe {
                let out = Destination { to, row: out_row, columns, accumulate };
                product::<S>((tall, wide), left, right, out);
            }
        }
    }
}

/// Rows of an operand side by side, each in whole vectors with zeros behind it, times `factor`.
///
/// # Safety
/// The machine has `S`; the operand has the rows, and `to` has room.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd>(
    (from, from_row): (*const f32, usize),
    (rows, width): (usize, usize),
    factor: f32,
    to: *mut f32,
) {
    let step = whole::<S>(width);
    for row in 0..rows {
        // SAFETY: the caller vouches for the elements.
        unsafe {
            let (from, to) = (from.add(row * from_row), to.add(row * step));
            match factor {
                1.0 => copy(from, to, width),
                factor => affine::<S>(from, width, (factor, 0.0), to),
            }
            zeros(to.add(width), step - width);
        }
    }
}

/// The same with rows as columns: `to[c][r]`, in rows of `keys` in whole vectors.
///
/// # Safety
/// As of [`pack`].
#[inline(always)]
pub(super) unsafe fn pack_turned<S: Simd>(
    (from, from_row): (*const f32, usize),
    (rows, width): (usize, usize),
    to: *mut f32,
) {
    let step = whole::<S>(rows);
    // SAFETY: the caller vouches for the elements.
    unsafe {
        transpose::<S>((from, from_row), (rows, width), (to, step));
        for c in 0..width {
            zeros(to.add(c * step + rows), step - rows);
        }
    }
}

/// Where a row of scores lies among all: sample, head, query, and its first key.
#[derive(Clone, Copy)]
pub(super) struct RowAt {
    pub(super) sample: usize,
    pub(super) head: usize,
    pub(super) query: usize,
    pub(super) key: usize,
}

impl Problem {
    /// Adds the bias to `count` scores of a row, and hides the keys that the mask hides.
    ///
    /// # Safety
    /// The context is that of the op's plan, and the row has the scores.
    #[inline(always)]
    pub(super) unsafe fn adjust<S: Simd>(
        &self,
        context: &Context<'_>,
        at: RowAt,
        scores: *mut f32,
        count: usize,
    ) {
        let row = |x: &Strided| {
            let first = x.row(at.sample, at.head, at.query) + at.key * x.strides[3];
            // SAFETY: the caller vouches for the row.
            let from = unsafe { context.floats(x.at).add(first) };
            (from.cast_const(), x.strides[3])
        };
        // SAFETY: the caller vouches for the row, which has whole vectors.
        unsafe {
            if let Some(bias) = &self.bias {
                pairs::<S>(scores, row(bias), count, |score, bias| S::add(score, bias));
            }
            if let Some(mask) = &self.mask {
                let (zero, hidden) = (S::splat(0.0), S::splat(f32::NEG_INFINITY));
                let hide = |score, mask| S::select(S::eq(mask, zero), hidden, score);
                pairs::<S>(scores, row(mask), count, hide);
            }
        }
    }

    /// What dropout multiplies `count` weights of a row with.
    ///
    /// # Safety
    /// The machine has `S`, and there is room for them.
    #[inline(always)]
    pub(super) unsafe fn factors<S: Simd>(
        &self,
        context: &Context<'_>,
        drop: AttentionDropout,
        at: RowAt,
        (to, count): (*mut f32, usize),
    ) {
        let sizes = self.sizes;
        let row = sizes.row_at(at.sample, at.head, at.query);
        let kept = 1.0 / (1.0 - drop.p);
        // SAFETY: the caller vouches for the room.
        unsafe {
            let to = elements(to, count);
            let first = (row * sizes.keys + at.key) as u64;
            fill_uniform::<S>(context.key, drop.stream, first, to);
            to.iter_mut().for_each(|u| *u = if *u >= drop.p { kept } else { 0.0 });
        }
    }
}

/// `row = f(row, other)` for `count` numbers, of the other at a fixed distance, which is 0 where one number stands
/// for all. What is behind them in the last vector is of no use afterwards.
///
/// # Safety
/// The machine has `S`, and there are so many, of `row` in whole vectors.
#[inline(always)]
unsafe fn pairs<S: Simd>(
    row: *mut f32,
    (other, step): (*const f32, usize),
    count: usize,
    f: impl Fn(S::V, S::V) -> S::V,
) {
    let mut lanes = [0.0f32; MAX_LANES];
    for i in (0..count).step_by(S::LANES) {
        let left = S::LANES.min(count - i);
        // SAFETY: the caller vouches for the numbers; a vector has at most `MAX_LANES` lanes.
        unsafe {
            let x = match step {
                1 if left == S::LANES => S::load(other.add(i)),
                1 => S::load_lanes(other.add(i), left, S::splat(0.0)),
                0 => S::splat(*other),
                _ => {
                    for (lane, to) in lanes.iter_mut().enumerate().take(left) {
                        *to = *other.add((i + lane) * step);
                    }
                    S::load(lanes.as_ptr())
                }
            };
            S::store(row.add(i), f(S::load(row.add(i)), x));
        }
    }
}

/// The largest of the scores.
///
/// # Safety
/// The machine has `S`, and there are so many.
#[inline(always)]
pub(super) unsafe fn largest<S: Simd>(scores: *const f32, count: usize) -> f32 {
    // SAFETY: the caller vouches for the scores.
    unsafe { fold::<S>(ReduceKind::Max, scores, count) }
}

/// `row = e^(row - shift)` for `count` numbers, and their sum. What is behind them in whole vectors of `width`
/// becomes 0.
///
/// # Safety
/// The machine has `S`, and the row has so many numbers in whole vectors.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(
    row: *mut f32,
    shift: f32,
    count: usize,
    width: usize,
) -> f32 {
    // SAFETY: the caller vouches for the row.
    unsafe {
        let (shift, mut sums) = (S::splat(shift), S::splat(0.0));
        let mut i = 0;
        while i < count {
            let x = match count - i {
                left if left < S::LANES => {
                    S::load_lanes(row.add(i), left, S::splat(f32::NEG_INFINITY))
                }
                _ => S::load(row.add(i)),
            };
            let term = math::exp::<S>(S::sub(x, shift));
            sums = S::add(sums, term);
            S::store(row.add(i), term);
            i += S::LANES;
        }
        zeros(row.add(i), whole::<S>(width) - i);
        S::sum(sums)
    }
}

/// `to *= by`, number by number, in whole vectors.
///
/// # Safety
/// The machine has `S`, and both have so many in whole vectors.
#[inline(always)]
pub(super) unsafe fn times<S: Simd>(to: *mut f32, by: *const f32, count: usize) {
    for i in (0..count).step_by(S::LANES) {
        // SAFETY: the caller vouches for the numbers.
        unsafe { S::store(to.add(i), S::mul(S::load(to.add(i)), S::load(by.add(i)))) };
    }
}
