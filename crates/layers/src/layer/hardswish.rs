//! A piecewise swish.

use super::activation::plain;

plain! {
    /// `y = x min(max(x + 3, 0), 6) / 6`, elementwise (Howard et al., "Searching for MobileNetV3", 2019).
    Hardswish, flops = 4, |g, x| {
        // The branches for themselves, so that their gradients at the ends are PyTorch's.
        let (low, high, zero) = (g.constant(-3.0)?, g.constant(3.0)?, g.constant(0.0)?);
        let below = g.le(x, low)?;
        let above = g.ge(x, high)?;
        let ends = g.max(below, above)?;
        let inner = g.select(ends, zero, x)?;
        let slope = g.offset(inner, 3.0)?;
        let six = g.constant(6.0)?;
        let curve = g.mul(inner, slope)?;
        let curve = g.div(curve, six)?;
        let upper = g.select(above, x, curve)?;
        g.select(below, zero, upper)
    }
}
