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

/// F(4x4, 3x3): 36 products instead of 144, at the price of two digits.
pub(super) struct F4;

impl Transform<4, 6> for F4 {
    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            let (two, four, five) = (S::splat(2.0), S::splat(4.0), S::splat(-5.0));
            let four_less = S::splat(-4.0);
            let (a, b) = (S::fma(four_less, d[2], d[4]), S::fma(four_less, d[1], d[3]));
            let (c, e) = (S::sub(d[4], d[2]), S::mul(two, S::sub(d[3], d[1])));
            [
                S::fma(four, d[0], S::fma(five, d[2], d[4])),
                S::add(a, b),
                S::sub(a, b),
                S::add(c, e),
                S::sub(c, e),
                S::fma(four, d[1], S::fma(five, d[3], d[5])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn weight<S: Simd>(g: [S::V; 3]) -> [S::V; 6] {
        // SAFETY: as above.
        unsafe {
            let sixth = S::splat(-1.0 / 6.0);
            let (outer, inner) = (S::mul(sixth, S::add(g[0], g[2])), S::mul(sixth, g[1]));
            let far = S::fma(S::splat(1.0 / 24.0), g[0], S::mul(S::splat(1.0 / 6.0), g[2]));
            let middle = S::mul(S::splat(1.0 / 12.0), g[1]);
            [
                S::mul(S::splat(0.25), g[0]),
                S::add(outer, inner),
                S::sub(outer, inner),
                S::add(far, middle),
                S::sub(far, middle),
                g[2],
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(m: [S::V; 6]) -> [S::V; 4] {
        // SAFETY: as above.
        unsafe {
            let (a, b) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
            let (c, d) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
            [
                S::add(m[0], S::add(a, c)),
                S::fma(S::splat(2.0), d, b),
                S::fma(S::splat(4.0), c, a),
                S::add(S::fma(S::splat(8.0), d, b), m[5]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn output_grad<S: Simd>(dy: [S::V; 4]) -> [S::V; 6] {
        // SAFETY: as above.
        unsafe {
            let (two, four) = (S::splat(2.0), S::splat(4.0));
            let (even, odd) = (S::add(dy[0], dy[2]), S::add(dy[1], dy[3]));
            let far = S::fma(four, dy[2], dy[0]);
            let odd_far = S::mul(two, S::fma(four, dy[3], dy[1]));
            [
                dy[0],
                S::add(even, odd),
                S::sub(even, odd),
                S::add(far, odd_far),
                S::sub(far, odd_far),
                dy[3],
            ]
        }
    }
    #[inline(always)]
    unsafe fn weight_grad<S: Simd>(m: [S::V; 6]) -> [S::V; 3] {
        // SAFETY: as above.
        unsafe {
            let (near, far) = (S::add(m[1], m[2]), S::add(m[3], m[4]));
            let (near_odd, far_odd) = (S::sub(m[1], m[2]), S::sub(m[3], m[4]));
            let (sixth, twelfth) = (S::splat(-1.0 / 6.0), S::splat(1.0 / 12.0));
            let first = S::fma(S::splat(1.0 / 24.0), far, S::mul(S::splat(0.25), m[0]));
            [
                S::fma(sixth, near, first),
                S::fma(sixth, near_odd, S::mul(twelfth, far_odd)),
                S::fma(sixth, near, S::fma(S::splat(1.0 / 6.0), far, m[5])),
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
