//! Elementary functions of f32 vectors without branches, accurate to a few units in the last
//! place. Arguments are reduced as by Cody and Waite ("Software Manual for the Elementary
//! Functions", 1980); the polynomials are near-minimax fits made for this crate.
#![allow(clippy::excessive_precision, reason = "the fits are given as they came")]

use super::{MAX_LANES, Simd};

/// `ln 2` in two parts; the first has so few bits that its products with exponents are exact.
const LN_2: [f32; 2] = [0.693_359_375, -2.121_944_4e-4];
/// Adding and subtracting it rounds to the nearest integer, which the low bits then hold.
const ROUND: f32 = 12_582_912.0;

/// `c[0] + c[1] x + c[2] x^2 + …`
///
/// # Safety
/// The machine has `S`; so for all functions here.
#[inline(always)]
unsafe fn polynomial<S: Simd, const N: usize>(x: S::V, c: [f32; N]) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let mut sum = S::splat(c[N - 1]);
        let mut i = N - 1;
        while i > 0 {
            i -= 1;
            sum = S::fma(sum, x, S::splat(c[i]));
        }
        sum
    }
}

#[inline(always)]
pub(crate) unsafe fn neg<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::xor(x, S::splat(-0.0)) }
}

#[inline(always)]
pub(crate) unsafe fn abs<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::and(x, S::splat(f32::from_bits(0x7fff_ffff))) }
}

/// `magnitude`, which is not negative, with the sign of `x`.
#[inline(always)]
unsafe fn with_sign_of<S: Simd>(magnitude: S::V, x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::or(magnitude, S::and(x, S::splat(-0.0))) }
}

/// -1, 0 or 1, and NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn sign<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let signed = with_sign_of::<S>(S::splat(1.0), x);
        let nonzero = S::select(S::eq(x, S::splat(0.0)), S::splat(0.0), signed);
        S::select(S::eq(x, x), nonzero, x)
    }
}

/// `2^n` for an integer `n` in `-126..=127`, given as the bits of an i32.
#[inline(always)]
unsafe fn power_of_two<S: Simd>(n: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::shift_left::<23>(S::add_bits(n, S::splat(f32::from_bits(127)))) }
}

/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`: `n` as the bits of an i32, and `r`.
#[inline(always)]
unsafe fn reduce_exponent<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let shifted = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND));
        let n = S::sub(shifted, S::splat(ROUND));
        let r = S::fma(n, S::splat(-LN_2[0]), x);
        let r = S::fma(n, S::splat(-LN_2[1]), r);
        (S::sub_bits(shifted, S::splat(ROUND)), r)
    }
}

/// `e^r - 1` for `|r| <= ln 2 / 2`.
#[inline(always)]
unsafe fn expm1_reduced<S: Simd>(r: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let q = polynomial::<S, 6>(
            r,
            [
                5.000000000e-01,
                1.666666716e-01,
                4.166648909e-02,
                8.333208039e-03,
                1.393268583e-03,
                1.994425547e-04,
            ],
        );
        S::fma(S::mul(r, r), q, r)
    }
}

#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // Beyond these the result is 0 or infinite; NaN passes.
        let x = S::max(S::splat(-104.0), S::min(S::splat(89.0), x));
        let (n, r) = reduce_exponent::<S>(x);
        // The power is applied in two steps, as it may be outside the range of normal numbers.
        let half = S::shift_right::<1>(n);
        let rest = S::sub_bits(n, half);
        let near_one = S::add(expm1_reduced::<S>(r), S::splat(1.0));
        S::mul(S::mul(near_one, power_of_two::<S>(half)), power_of_two::<S>(rest))
    }
}

#[inline(always)]
pub(crate) unsafe fn expm1<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let x = S::max(S::splat(-18.0), S::min(S::splat(89.0), x));
        let (n, r) = reduce_exponent::<S>(x);
        // 2^n (e^r - 1) + (2^n - 1), halved and doubled so that 2^128 does not overflow.
        let scale = power_of_two::<S>(S::sub_bits(n, S::splat(f32::from_bits(1))));
        let sum = S::fma(expm1_reduced::<S>(r), scale, S::sub(scale, S::splat(0.5)));
        let sum = S::add(sum, sum);
        // Keeps the sign of zero.
        S::select(S::eq(x, S::splat(0.0)), x, sum)
    }
}

/// `ln x` for `x > 0`, with `extra` added at the end where it is not lost.
#[inline(always)]
unsafe fn log_positive<S: Simd>(x: S::V, extra: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // Subnormal numbers are scaled into the normal range.
        let tiny = S::lt(x, S::splat(f32::MIN_POSITIVE));
        let scaled = S::select(tiny, S::mul(x, S::splat(8_388_608.0)), x);
        let bias = S::select(tiny, S::splat(-23.0), S::splat(0.0));
        // x = m 2^e with sqrt(1/2) <= m < sqrt(2).
        let root_half = S::splat(std::f32::consts::FRAC_1_SQRT_2);
        let offset = S::sub_bits(scaled, root_half);
        let e = S::shift_right::<23>(offset);
        let m = S::sub_bits(scaled, S::shift_left::<23>(e));
        let e = S::add(S::int_to_float(e), bias);
        let f = S::sub(m, S::splat(1.0));
        let q = polynomial::<S, 9>(
            f,
            [
                3.333331048e-01,
                -2.499998659e-01,
                2.000222504e-01,
                -1.666925251e-01,
                1.421866864e-01,
                -1.238428652e-01,
                1.187294945e-01,
                -1.179039329e-01,
                6.916089356e-02,
            ],
        );
        let square = S::mul(f, f);
        let cubic = S::fma(S::mul(square, f), q, extra);
        let small = S::fma(e, S::splat(LN_2[1]), S::fma(square, S::splat(-0.5), cubic));
        S::fma(e, S::splat(LN_2[0]), S::add(f, small))
    }
}

/// Puts the logarithm's values at and beyond the ends of its domain: `at` is the argument.
#[inline(always)]
unsafe fn log_ends<S: Simd>(at: S::V, inside: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let zero = S::splat(0.0);
        let y = S::select(S::eq(at, S::splat(f32::INFINITY)), at, inside);
        let y = S::select(S::eq(at, zero), S::splat(f32::NEG_INFINITY), y);
        S::select(S::le(zero, at), y, S::splat(f32::NAN))
    }
}

#[inline(always)]
pub(crate) unsafe fn log<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { log_ends::<S>(x, log_positive::<S>(x, S::splat(0.0))) }
}

#[inline(always)]
pub(crate) unsafe fn log1p<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let one = S::splat(1.0);
        let u = S::add(one, x);
        // What the sum has lost, relative to it: ln(u + lost) = ln u + lost / u.
        let lost = S::sub(x, S::sub(u, one));
        let y = log_ends::<S>(u, log_positive::<S>(u, S::div(lost, u)));
        S::select(S::eq(u, one), x, y)
    }
}

#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // e / (e + 2) with e = exp(2 |x|) - 1; beyond 10 it is 1.
        let magnitude = S::min(S::splat(10.0), abs::<S>(x));
        let e = expm1::<S>(S::add(magnitude, magnitude));
        with_sign_of::<S>(S::div(e, S::add(e, S::splat(2.0))), x)
    }
}

#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // e^-|x| cannot overflow.
        let (one, zero) = (S::splat(1.0), S::splat(0.0));
        let t = exp::<S>(S::or(x, S::splat(-0.0)));
        S::div(S::select(S::lt(x, zero), t, one), S::add(one, t))
    }
}

#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // Beyond 4 it is 1; NaN passes.
        let t = S::min(S::splat(4.0), abs::<S>(x));
        let near = polynomial::<S, 7>(
            S::mul(t, t),
            [
                1.283791661e-01,
                -3.761262894e-01,
                1.128362417e-01,
                -2.685559541e-02,
                5.191993434e-03,
                -8.044707938e-04,
                7.974875189e-05,
            ],
        );
        let near = S::fma(t, near, t);
        // 1 - exp(-t - t q(t))
        let q = polynomial::<S, 8>(
            t,
            [
                1.285517514e-01,
                6.356252432e-01,
                1.052627787e-01,
                -2.267424203e-02,
                2.930232557e-03,
                -4.961701779e-05,
                -4.557482316e-05,
                4.937675840e-06,
            ],
        );
        let far = S::sub(S::splat(1.0), exp::<S>(neg::<S>(S::fma(t, q, t))));
        let y = S::select(S::lt(t, S::splat(0.93)), near, far);
        with_sign_of::<S>(y, x)
    }
}

/// `sin (x + quarters pi/2)`
#[inline(always)]
unsafe fn sine<S: Simd>(x: S::V, quarters: u32) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        // pi/2 in three parts; the products of the first two with n below 2^13 are exact.
        const PI_2: [f32; 3] = [1.570_312_5, 4.837_512_97e-4, 7.549_789_95e-8];
        let shifted = S::fma(x, S::splat(std::f32::consts::FRAC_2_PI), S::splat(ROUND));
        let n = S::sub(shifted, S::splat(ROUND));
        let r = S::fma(n, S::splat(-PI_2[0]), x);
        let r = S::fma(n, S::splat(-PI_2[1]), r);
        let r = S::fma(n, S::splat(-PI_2[2]), r);
        let z = S::mul(r, r);
        let s = polynomial::<S, 4>(
            z,
            [-1.666666716e-01, 8.333379403e-03, -1.985298295e-04, 2.830801805e-06],
        );
        let sin = S::fma(S::mul(z, r), s, r);
        let c = polynomial::<S, 4>(
            z,
            [4.166666791e-02, -1.388898003e-03, 2.482191121e-05, -2.885931281e-07],
        );
        let cos = S::fma(S::mul(z, z), c, S::fma(z, S::splat(-0.5), S::splat(1.0)));
        let quadrant = S::add_bits(shifted, S::splat(f32::from_bits(quarters)));
        let odd = S::and(quadrant, S::splat(f32::from_bits(1)));
        let is_sin = S::eq(S::int_to_float(odd), S::splat(0.0));
        let sign = S::shift_left::<30>(S::and(quadrant, S::splat(f32::from_bits(2))));
        S::xor(S::select(is_sin, sin, cos), sign)
    }
}

/// Where the reduction in [`sine`] holds.
const SINE_LIMIT: f32 = 8192.0;

#[inline(always)]
pub(crate) unsafe fn sin<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let inside = S::lt(abs::<S>(x), S::splat(SINE_LIMIT));
        let zero = S::eq(x, S::splat(0.0));
        let y = S::select(zero, x, sine::<S>(x, 0));
        if S::any(S::not(inside)) { S::select(inside, y, each::<S>(x, wide_sin)) } else { y }
    }
}

#[inline(always)]
pub(crate) unsafe fn cos<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let inside = S::lt(abs::<S>(x), S::splat(SINE_LIMIT));
        let y = sine::<S>(x, 1);
        if S::any(S::not(inside)) { S::select(inside, y, each::<S>(x, wide_cos)) } else { y }
    }
}

fn wide_sin(x: f32) -> f32 {
    f64::from(x).sin() as f32
}

fn wide_cos(x: f32) -> f32 {
    f64::from(x).cos() as f32
}

/// Lane by lane: for arguments that are rare.
#[inline(always)]
unsafe fn each<S: Simd>(x: S::V, f: fn(f32) -> f32) -> S::V {
    let mut lanes = [0.0; MAX_LANES];
    // SAFETY: a vector has at most `MAX_LANES` lanes.
    unsafe {
        S::put(lanes.as_mut_ptr(), x);
        for lane in lanes.iter_mut().take(S::LANES) {
            *lane = f(*lane);
        }
        S::load(lanes.as_ptr())
    }
}

/// `a` to the power `b`, lane by lane in f64: exponents that are common constants are replaced by
/// products when a kernel is lowered.
#[inline(always)]
pub(crate) unsafe fn pow<S: Simd>(a: S::V, b: S::V) -> S::V {
    let (mut x, mut y) = ([0.0f32; MAX_LANES], [0.0f32; MAX_LANES]);
    // SAFETY: a vector has at most `MAX_LANES` lanes.
    unsafe {
        S::put(x.as_mut_ptr(), a);
        S::put(y.as_mut_ptr(), b);
        for (x, y) in x.iter_mut().zip(y).take(S::LANES) {
            *x = f64::from(*x).powf(f64::from(y)) as f32;
        }
        S::load(x.as_ptr())
    }
}

/// The larger lane, NaN where either is NaN.
#[inline(always)]
pub(crate) unsafe fn max<S: Simd>(a: S::V, b: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::select(S::eq(a, a), S::max(a, b), a) }
}

/// The smaller lane, NaN where either is NaN.
#[inline(always)]
pub(crate) unsafe fn min<S: Simd>(a: S::V, b: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::select(S::eq(a, a), S::min(a, b), a) }
}

/// `max(x, 0)`, NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn relu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe { S::max(S::splat(0.0), x) }
}
