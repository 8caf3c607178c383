//! The scaled exponential linear unit.

use super::activation::{plain, zero_where_positive};

plain! {
    /// `y = s x` for `x > 0`, else `s a (e^x - 1)`, elementwise, with `a = 1.6733` and `s = 1.0507`, which
    /// keep mean and variance (Klambauer et al., "Self-Normalizing Neural Networks", 2017).
    Selu, flops = 5, |g, x| {
        const ALPHA: f32 = 1.673_263_2;
        const SCALE: f32 = 1.050_701;
        let low = zero_where_positive(g, x)?;
        let curve = g.expm1(low)?;
        let curve = g.scale(curve, ALPHA * SCALE)?;
        let line = g.scale(x, SCALE)?;
        let zero = g.constant(0.0)?;
        let positive = g.gt(x, zero)?;
        g.select(positive, line, curve)
    }
}
