//! What normalisations share.

use onestep_engine::{Graph, GraphError, Value};

use crate::context::BuildContext;
use crate::error::LayerError;

pub(super) fn eps() -> f32 {
    1e-5
}

pub(super) fn check_eps(cx: &BuildContext, eps: f32) -> Result<(), LayerError> {
    if eps.is_finite() && eps >= 0.0 {
        return Ok(());
    }
    Err(cx.option_error("eps", "finite and at least 0", eps))
}

/// `1 / sqrt(var + eps)`. Without an `eps` (subnormal numbers count as zero while a step runs) it is 0
/// where there is no variance: all that is left of constant data is 0, which nothing makes larger.
pub(super) fn scale_of(g: &mut Graph, var: Value, eps: f32) -> Result<Value, GraphError> {
    if eps >= f32::MIN_POSITIVE {
        let var = g.offset(var, eps)?;
        return g.rsqrt(var);
    }
    let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
    let constant = g.eq(var, zero)?;
    let var = g.select(constant, one, var)?;
    let scale = g.rsqrt(var)?;
    g.select(constant, zero, scale)
}

/// Mean and variance over some axes.
pub(super) struct Moments {
    pub(super) mean: Value,
    /// `x - mean`
    pub(super) centered: Value,
    /// The biased variance.
    pub(super) var: Value,
}

/// The variance is a composite, which a convolution takes on the way. It comes first: so the differences
/// from the mean are the ones that it is made of where it is written out.
pub(super) fn moments(g: &mut Graph, x: Value, axes: &[usize]) -> Result<Moments, GraphError> {
    let mean = g.mean(x, axes, true)?;
    let var = g.variance(x, mean, axes)?;
    let centered = g.sub(x, mean)?;
    Ok(Moments { mean, centered, var })
}
