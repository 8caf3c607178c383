//! A piecewise linear logistic function.

use super::activation::{bounded, plain};

plain! {
    /// `y = min(max(x + 3, 0), 6) / 6`, elementwise (Courbariaux et al., "BinaryConnect", 2015, with the
    /// slope of MobileNetV3). The gradient at -3 and 3 is 0.
    Hardsigmoid, flops = 3, |g, x| {
        let line = g.offset(x, 3.0)?;
        let line = bounded(g, line, 0.0, 6.0)?;
        let sixth = g.constant(6.0)?;
        g.div(line, sixth)
    }
}
