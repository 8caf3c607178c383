//! What the hyperbolic tangent leaves.

use super::activation::plain;

plain! {
    /// `y = x - tanh(x)`, elementwise.
    Tanhshrink, flops = 5, |g, x| {
        let squashed = g.tanh(x)?;
        g.sub(x, squashed)
    }
}
