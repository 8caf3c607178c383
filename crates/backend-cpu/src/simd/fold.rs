//! Reductions of elements that lie side by side.

use onestep_engine::ops::ReduceKind;

use super::{MAX_LANES, Simd, math};

/// The reduction of `length` elements in f32: four vectors wide, then lane by lane. NaN wins; a mean
/// is left to be divided.
///
/// # Safety
/// The machine has `S`, and the elements are there.
#[inline(always)]
pub(crate) unsafe fn fold<S: Simd>(kind: ReduceKind, from: *const f32, length: usize) -> f32 {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match kind {
            ReduceKind::Sum | ReduceKind::Mean => fold_with::<S, Sums>(from, length),
            ReduceKind::Max => fold_with::<S, Largest>(from, length),
            ReduceKind::Min => fold_with::<S, Smallest>(from, length),
        }
    }
}

/// The sum of `length` elements in f64. Four vectors are added to one in f32 first, in pairs, which is
/// exact where they are equal.
///
/// # Safety
/// The machine has `S`, and the elements are there.
#[inline(always)]
pub(crate) unsafe fn sum<S: Simd>(from: *const f32, length: usize) -> f64 {
    // SAFETY: the caller vouches for the elements; a vector has at most `MAX_LANES` lanes.
    unsafe {
        let mut lanes = [0.0f64; MAX_LANES];
        let mut i = 0;
        while i + 4 * S::LANES <= length {
            let [a, b, c, d] = [0, 1, 2, 3].map(|v| S::load(from.add(i + v * S::LANES)));
            S::accumulate(lanes.as_mut_ptr(), S::add(S::add(a, b), S::add(c, d)));
            i += 4 * S::LANES;
        }
        while i + S::LANES <= length {
            S::accumulate(lanes.as_mut_ptr(), S::load(from.add(i)));
            i += S::LANES;
        }
        let mut result = lanes.iter().sum::<f64>();
        while i < length {
            result += f64::from(*from.add(i));
            i += 1;
        }
        result
    }
}

trait Fold {
    const START: f32;
    unsafe fn vectors<S: Simd>(a: S::V, b: S::V) -> S::V;
    fn numbers(a: f32, b: f32) -> f32;
}

struct Sums;
struct Largest;
struct Smallest;

impl Fold for Sums {
    const START: f32 = 0.0;
    #[inline(always)]
    unsafe fn vectors<S: Simd>(a: S::V, b: S::V) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    fn numbers(a: f32, b: f32) -> f32 {
        a + b
    }
}

impl Fold for Largest {
    const START: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Simd>(a: S::V, b: S::V) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { math::max::<S>(a, b) }
    }
    #[inline(always)]
    fn numbers(a: f32, b: f32) -> f32 {
        if a.is_nan() || a > b { a } else { b }
    }
}

impl Fold for Smallest {
    const START: f32 = f32::INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Simd>(a: S::V, b: S::V) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { math::min::<S>(a, b) }
    }
    #[inline(always)]
    fn numbers(a: f32, b: f32) -> f32 {
        if a.is_nan() || a < b { a } else { b }
    }
}

#[inline(always)]
unsafe fn fold_with<S: Simd, F: Fold>(from: *const f32, length: usize) -> f32 {
    // SAFETY: the caller vouches for the elements; a vector has at most `MAX_LANES` lanes.
    unsafe {
        let (mut i, mut result) = (0, F::START);
        if length >= S::LANES {
            let mut sums = [S::splat(F::START); 4];
            while i + 4 * S::LANES <= length {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = F::vectors::<S>(*sum, S::load(from.add(i + v * S::LANES)));
                }
                i += 4 * S::LANES;
            }
            while i + S::LANES <= length {
                sums[0] = F::vectors::<S>(sums[0], S::load(from.add(i)));
                i += S::LANES;
            }
            let low = F::vectors::<S>(sums[0], sums[1]);
            let high = F::vectors::<S>(sums[2], sums[3]);
            let mut lanes = [F::START; MAX_LANES];
            S::put(lanes.as_mut_ptr(), F::vectors::<S>(low, high));
            let mut width = S::LANES;
            while width > 1 {
                width /= 2;
                for lane in 0..width {
                    lanes[lane] = F::numbers(lanes[lane], lanes[lane + width]);
                }
            }
            result = lanes[0];
        }
        while i < length {
            result = F::numbers(result, *from.add(i));
            i += 1;
        }
        result
    }
}
