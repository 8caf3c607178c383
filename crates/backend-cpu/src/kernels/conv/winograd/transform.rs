//! The transforms of Winograd's minimal filtering for a window of 3 (Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", 2016): `y = A'[(G g G') . (B' d B)]A` for a tile
//! of `M` x `M` outputs from `N` x `N` inputs, `N = M + 2`.

use crate::simd::Simd;

/// Elements of the window along each axis.
pub(super) const WINDOW: usize = 3;

/// The transforms along one axis.
#[allow(clippy::missing_safety_doc, reason = "all methods need only the instructions of `S`")]
pub(super) trait Transform<const M: usize, const N: usize> {
    /// `B' d`
    unsafe fn input<S: Simd>(d: [S::V; N]) -> [S::V; N];
    /// `G g`
    unsafe fn weight<S: Simd>(g: [S::V; WINDOW]) -> [S::V; N];
    /// `A' m`
    unsafe fn output<S: Simd>(m: [S::V; N]) -> [S::V; M];
    /// `A dy`, with which the output's gradient enters the gradient in the weight.
    unsafe fn output_grad<S: Simd>(dy: [S::V; M]) -> [S::V; N];
    /// `G' m`, with which the gradient in the weight leaves.
    unsafe fn weight_grad<S: Simd>(m: [S::V; N]) -> [S::V; WINDOW];
}

/// F(2x2, 3x3): 16 products instead of 36.
pub(super) struct F2;

impl Transform<2, 4> for F2 {
    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 4]) -> [S::V; 4] {
        // SAFETY: the caller vouches for the instructions.
        unsafe { [S::sub(d[0], d[2]), S::add(d[1], d[2]), S::sub(d[2], d[1]), S::sub(d[1], d[3])] }
    }
    #[inline(always)]
    unsafe fn weight<S: Simd>(g: [S::V; 3]) -> [S::V; 4] {
        // SAFETY: as above.
        unsafe {
            let half = S::splat(0.5);
            let (outer, inner) = (S::mul(half, S::add(g[0], g[2])), S::mul(half, g[1]));
            [g[0], S::add(outer, inner), S::sub(outer, inner), g[2]]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; 4]) -> [S::V; 2] {
        // SAFETY: as above.
        unsafe { [S::add(m[0], S::add(m[1], m[2])), S::sub(S::sub(m[1], m[2]), m[3])] }
    }
    #[inline(always)]
    unsafe fn output_grad<S: Simd>(dy: [S::V; 2]) -> [S::V; 4] {
        // SAFETY: as above.
        unsafe {
            let minus = S::sub(S::splat(0.0), dy[1]);
            [dy[0], S::add(dy[0], dy[1]), S::sub(dy[0], dy[1]), minus]
        }
    }
    #[inline(always)]
    unsafe fn weight_grad<S: Simd>(m: [S::V; 4]) -> [S::V; 3] {
        // SAFETY: as above.
        unsafe {
            let half = S::splat(0.5);
            let (sum, difference) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            [S::fma(half, sum, m[0]), S::mul(half, difference), S::fma(half, sum, m[3])]
        }
    }
}

/// F(4x4, 3x3): 36 products instead of 144.
///
/// The polynomials are evaluated at 0, +-A, +-B and infinity. With the usual points 0, +-1, +-2 the
/// largest error is nearly five times as large: points whose powers stay near 1 lose less (Barabasz and
/// others, "Error analysis and improving the accuracy of Winograd convolution", 2020). These have
/// simple squares, 1/2 and 2, whose product is 1.
pub(super) struct F4;

const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// `even + odd` and `even - odd`: the values at a point and at its negative.
#[inline(always)]
unsafe fn pair<S: Simd>(even: S::V, odd: S::V) -> [S::V; 2] {
    // SAFETY: the caller vouches for the instructions.
    unsafe { [S::add(even, odd), S::sub(even, odd)] }
}

impl Transform<4, 6> for F4 {
    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let (minus_two, minus_half) = (S::splat(-2.0), S::splat(-0.5));
            let both = S::splat(-2.5);
            let odd_a = S::mul(S::splat(A), S::fma(minus_two, d[1], d[3]));
            let odd_b = S::mul(S::splat(B), S::fma(minus_half, d[1], d[3]));
            let [a, minus_a] = pair::<S>(S::fma(minus_two, d[2], d[4]), odd_a);
            let [b, minus_b] = pair::<S>(S::fma(minus_half, d[2], d[4]), odd_b);
            let zero = S::fma(both, d[2], S::add(d[0], d[4]));
            let infinity = S::fma(both, d[3], S::add(d[1], d[5]));
            [zero, a, minus_a, b, minus_b, infinity]
        }
    }
    #[inline(always)]
    unsafe fn weight<S: Simd>(g: [S::V; 3]) -> [S::V; 6] {
        // SAFETY: as above.
        unsafe {
            let third = S::splat(-1.0 / 3.0);
            let even_a = S::mul(third, S::fma(S::splat(2.0), g[0], g[2]));
            let even_b = S::fma(S::splat(1.0 / 6.0), g[0], S::mul(S::splat(1.0 / 3.0), g[2]));
            let [a, minus_a] = pair::<S>(even_a, S::mul(S::splat(A * (-2.0 / 3.0)), g[1]));
            let [b, minus_b] = pair::<S>(even_b, S::mul(S::splat(B / 6.0), g[1]));
            [g[0], a, minus_a, b, minus_b, g[2]]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; 6]) -> [S::V; 4] {
        // SAFETY: as above.
        unsafe {
            let [even_a, odd_a] = pair::<S>(m[1], m[2]);
            let [even_b, odd_b] = pair::<S>(m[3], m[4]);
            let (odd_a, odd_b) = (S::mul(S::splat(A), odd_a), S::mul(S::splat(B), odd_b));
            let (half, two) = (S::splat(0.5), S::splat(2.0));
            [
                S::add(m[0], S::add(even_a, even_b)),
                S::add(odd_a, odd_b),
                S::fma(half, even_a, S::mul(two, even_b)),
                S::fma(half, odd_a, S::fma(two, odd_b, m[5])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_grad<S: Simd>(dy: [S::V; 4]) -> [S::V; 6] {
        // SAFETY: as above.
        unsafe {
            let (half, two) = (S::splat(0.5), S::splat(2.0));
            let odd_a = S::mul(S::splat(A), S::fma(half, dy[3], dy[1]));
            let odd_b = S::mul(S::splat(B), S::fma(two, dy[3], dy[1]));
            let [a, minus_a] = pair::<S>(S::fma(half, dy[2], dy[0]), odd_a);
            let [b, minus_b] = pair::<S>(S::fma(two, dy[2], dy[0]), odd_b);
            [dy[0], a, minus_a, b, minus_b, dy[3]]
        }
    }
    #[inline(always)]
    unsafe fn weight_grad<S: Simd>(m: [S::V; 6]) -> [S::V; 3] {
        // SAFETY: as above.
        unsafe {
            let [even_a, odd_a] = pair::<S>(m[1], m[2]);
            let [even_b, odd_b] = pair::<S>(m[3], m[4]);
            let third = S::splat(1.0 / 3.0);
            let first = S::fma(S::splat(1.0 / 6.0), even_b, m[0]);
            let odd_b = S::mul(S::splat(B / 6.0), odd_b);
            [
                S::fma(S::splat(-2.0 / 3.0), even_a, first),
                S::fma(S::splat(A * (-2.0 / 3.0)), odd_a, odd_b),
                S::fma(third, S::sub(even_b, even_a), m[5]),
            ]
        }
    }
}

/// A one-dimensional transform along both axes.
macro_rules! both_axes {
    ($(#[$doc:meta])* $name:ident, $one:ident, $from:ident, $to:ident) => {
        $(#[$doc])*
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd, W: Transform<M, N>, const M: usize, const N: usize>(
            x: [[S::V; $from]; $from],
        ) -> [[S::V; $to]; $to] {
            // SAFETY: the caller vouches for the instructions.
            unsafe {
                let zero = S::splat(0.0);
                let mut rows = [[zero; $from]; $to];
                let mut column = 0;
                while column < $from {
                    let mut line = [zero; $from];
                    let mut i = 0;
                    while i < $from {
                        line[i] = x[i][column];
                        i += 1;
                    }
                    let line = W::$one::<S>(line);
                    let mut i = 0;
                    while i < $to {
                        rows[i][column] = line[i];
                        i += 1;
                    }
                    column += 1;
                }
                let mut out = [[zero; $to]; $to];
                let mut i = 0;
                while i < $to {
                    out[i] = W::$one::<S>(rows[i]);
                    i += 1;
                }
                out
            }
        }
    };
}

both_axes!(
    /// `B' d B`
    input, input, N, N
);
both_axes!(
    /// `G g G'`
    weight, weight, WINDOW, N
);
both_axes!(
    /// `A' m A`
    output, output, N, M
);
both_axes!(
    /// `A dy A'`
    output_grad, output_grad, M, N
);
both_axes!(
    /// `G' m G`
    weight_grad, weight_grad, N, WINDOW
);
