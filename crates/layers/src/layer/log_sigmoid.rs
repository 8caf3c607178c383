//! The logarithm of the logistic function.

use super::activation::{log_sigmoid, plain};

plain! {
    /// `y = -log(1 + e^-x)`, elementwise, computed as `min(x, 0) - log(1 + e^-|x|)`, which does not
    /// overflow.
    LogSigmoid, flops = 5, |g, x| {
        log_sigmoid(g, x)
    }
}
