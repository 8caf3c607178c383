//! A slowly saturating sign.

use super::activation::plain;

plain! {
    /// `y = x / (1 + |x|)`, elementwise (Turian et al., "Quadratic Features and Deep Architectures for
    /// Chunking", 2009).
    Softsign, flops = 3, |g, x| {
        let size = g.abs(x)?;
        let size = g.offset(size, 1.0)?;
        g.div(x, size)
    }
}
