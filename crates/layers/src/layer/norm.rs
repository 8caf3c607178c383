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

/// The mean over `axes`, which stay as 1. A division, where a product with the rounded reciprocal
/// of the count would move the mean of values that are far from 0.
fn mean_over(g: &mut Graph, x: Value, axes: &[usize]) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims();
    let count: usize = axes.iter().filter_map(|&axis| dims.get(axis)).product();
    let sum = g.sum(x, axes, true)?;
    let count = g.constant(count as f32)?;
    g.div(sum, count)
}

/// Mean and variance over some axes.
pub(super) struct Moments {
    pub(super) mean: Value,
    /// `x - mean`
    pub(super) centered: Value,
    /// The biased variance.
    pub(super) var: Value,
}

/// Two passes: the mean of squares minus the square of the mean would cancel where the mean is far
/// from 0.
pub(super) fn moments(g: &mut Graph, x: Value, axes: &[usize]) -> Result<Moments, GraphError> {
    let mean = mean_over(g, x, axes)?;
    let centered = g.sub(x, mean)?;
    let squares = g.square(centered)?;
    let var = mean_over(g, squares, axes)?;
    Ok(Moments { mean, centered, var })
}
