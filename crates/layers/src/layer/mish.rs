//! A smooth, self-gated unit.

use super::activation::{plain, softplus};

plain! {
    /// `y = x tanh(log(1 + e^x))`, elementwise (Misra, "Mish: A Self Regularized Non-Monotonic Activation
    /// Function", 2019).
    Mish, flops = 8, |g, x| {
        let soft = softplus(g, x)?;
        let gate = g.tanh(soft)?;
        g.mul(x, gate)
    }
}
