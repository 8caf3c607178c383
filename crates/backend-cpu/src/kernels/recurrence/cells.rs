//! What the cells do with a vector of numbers of one sample.

use crate::simd::{Simd, math};

/// Loads what is left of a row, at most a vector.
///
/// # Safety
/// The machine has `S`, and there are `left` elements.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32, left: usize) -> S::V {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match left < S::LANES {
            true => S::load_lanes(from, left, S::splat(0.0)),
            false => S::load(from),
        }
    }
}

/// Stores what is left of a row, at most a vector.
///
/// # Safety
/// The machine has `S`, and there is room for `left` elements.
#[inline(always)]
pub(super) unsafe fn save<S: Simd>(to: *mut f32, v: S::V, left: usize) {
    // SAFETY: the caller vouches for the room.
    unsafe {
        match left < S::LANES {
            true => S::store_lanes(to, v, 0, left),
            false => S::store(to, v),
        }
    }
}

/// The same of `N` gates, which lie `hidden` elements apart.
///
/// # Safety
/// As of [`load`], for each.
#[inline(always)]
pub(super) unsafe fn load_gates<S: Simd, const N: usize>(
    from: *const f32,
    hidden: usize,
    left: usize,
) -> [S::V; N] {
    // SAFETY: the caller vouches for the elements. A closure would not be compiled for `S`.
    unsafe {
        let mut gates = [S::splat(0.0); N];
        let mut gate = 0;
        while gate < N {
            gates[gate] = load::<S>(from.add(gate * hidden), left);
            gate += 1;
        }
        gates
    }
}

/// The same of `N` gates, which lie `hidden` elements apart.
///
/// # Safety
/// As of [`save`], for each.
#[inline(always)]
pub(super) unsafe fn save_gates<S: Simd, const N: usize>(
    to: *mut f32,
    gates: [S::V; N],
    hidden: usize,
    left: usize,
) {
    // SAFETY: the caller vouches for the room.
    unsafe {
        let mut gate = 0;
        while gate < N {
            save::<S>(to.add(gate * hidden), gates[gate], left);
            gate += 1;
        }
    }
}

/// `1 - x²`, the slope of a hyperbolic tangent that gave `x`.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn slope_of_tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for `S`.
    unsafe { S::sub(S::splat(1.0), S::mul(x, x)) }
}

/// `x (1 - x)`, the slope of a logistic function that gave `x`.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn slope_of_sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for `S`.
    unsafe { S::mul(x, S::sub(S::splat(1.0), x)) }
}

/// An LSTM's gates `i, f, g, o`, its new cell and its output, from the gates' sums and the old cell.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn lstm<S: Simd>([i, f, g, o]: [S::V; 4], c: S::V) -> ([S::V; 5], S::V) {
    // SAFETY: the caller vouches for `S`.
    unsafe {
        let (i, f) = (math::sigmoid::<S>(i), math::sigmoid::<S>(f));
        let (g, o) = (math::tanh::<S>(g), math::sigmoid::<S>(o));
        let c = S::fma(f, c, S::mul(i, g));
        ([i, f, g, o, c], S::mul(o, math::tanh::<S>(c)))
    }
}

/// The gradients in an LSTM's four sums and in its old cell, from those in its output and its new cell.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn lstm_back<S: Simd>(
    [i, f, g, o, c]: [S::V; 5],
    old: S::V,
    dh: S::V,
    dc: S::V,
) -> ([S::V; 4], S::V) {
    // SAFETY: the caller vouches for `S`.
    unsafe {
        let squashed = math::tanh::<S>(c);
        let of_o = S::mul(S::mul(dh, squashed), slope_of_sigmoid::<S>(o));
        let dc = S::fma(S::mul(dh, o), slope_of_tanh::<S>(squashed), dc);
        let of_i = S::mul(S::mul(dc, g), slope_of_sigmoid::<S>(i));
        let of_f = S::mul(S::mul(dc, old), slope_of_sigmoid::<S>(f));
        let of_g = S::mul(S::mul(dc, i), slope_of_tanh::<S>(g));
        ([of_i, of_f, of_g, of_o], S::mul(dc, f))
    }
}

/// A GRU's gates `r, z, n` and its output: from the sums of the first two, the input product of the third, its
/// recurrent product, and the old output.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn gru<S: Simd>([r, z, n, new]: [S::V; 4], h: S::V) -> ([S::V; 3], S::V) {
    // SAFETY: the caller vouches for `S`.
    unsafe {
        let (r, z) = (math::sigmoid::<S>(r), math::sigmoid::<S>(z));
        let n = math::tanh::<S>(S::fma(r, new, n));
        ([r, z, n], S::fma(z, S::sub(h, n), n))
    }
}

/// The gradients in a GRU's sums of `r` and `z`, in the sum of `n`, in its recurrent product, and what goes to the
/// old output past the products.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(super) unsafe fn gru_back<S: Simd>(
    [r, z, n, new]: [S::V; 4],
    old: S::V,
    dh: S::V,
) -> ([S::V; 4], S::V) {
    // SAFETY: the caller vouches for `S`.
    unsafe {
        let of_z = S::mul(S::mul(dh, S::sub(old, n)), slope_of_sigmoid::<S>(z));
        let of_n = S::mul(S::mul(dh, S::sub(S::splat(1.0), z)), slope_of_tanh::<S>(n));
        let of_r = S::mul(S::mul(of_n, new), slope_of_sigmoid::<S>(r));
        ([of_r, of_z, of_n, S::mul(of_n, r)], S::mul(dh, z))
    }
}
