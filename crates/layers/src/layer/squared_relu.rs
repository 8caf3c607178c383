//! The square of the rectified linear unit.

use super::activation::plain;

plain! {
    /// `y = max(x, 0)^2`, elementwise (So et al., "Primer: Searching for Efficient Transformers for Language
    /// Modeling", 2021).
    SquaredRelu, flops = 2, |g, x| {
        let rectified = g.relu(x)?;
        g.square(rectified)
    }
}
