//! An approximate GELU by a logistic function.

use super::activation::plain;

plain! {
    /// `y = x / (1 + e^(-1.702 x))`, elementwise (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016,
    /// as in CLIP).
    QuickGelu, flops = 6, |g, x| {
        let steep = g.scale(x, 1.702)?;
        let gate = g.sigmoid(steep)?;
        g.mul(x, gate)
    }
}
