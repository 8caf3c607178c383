//! What normalisations share.

use onestep_engine::{Graph, GraphError, Value};

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

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

/// The sizes and the numbers of the last axes of `x`, one if `shape` does not say which.
pub(super) fn last_axes(
    cx: &BuildContext,
    x: Value,
    shape: Option<&[usize]>,
) -> Result<(Vec<usize>, Vec<usize>), LayerError> {
    cx.expect_f32(x)?;
    let dims = cx.dims(x);
    let sample = &dims[1..];
    let Some(last) = sample.last() else {
        return Err(cx.input_error("at least one axis a sample", "none"));
    };
    let shape = shape.map_or_else(|| vec![*last], <[usize]>::to_vec);
    if shape.is_empty() {
        return Err(cx.option_error("normalized_shape", "at least one size", "none"));
    }
    if !sample.ends_with(&shape) {
        let wanted = format!("a sample whose last axes are {shape:?}");
        return Err(cx.input_error(wanted, format!("{sample:?}")));
    }
    let axes = (dims.len() - shape.len()..dims.len()).collect();
    Ok((shape, axes))
}

/// The learned scale and shift of each channel, and how they begin.
pub(super) struct Affine {
    pub(super) weight: Initializer,
    pub(super) bias: Initializer,
}

impl Affine {
    /// `y weight + bias` with parameters `weight [c]` (ones) and `bias [c]` (zeros).
    pub(super) fn a_channel(self, cx: &mut BuildContext, y: Value) -> Result<Value, LayerError> {
        let dims = cx.dims(y);
        let mut shape = vec![1; dims.len()];
        shape[1] = dims[1];
        let count = [dims[1]];
        let weight =
            cx.parameter("weight", &count, self.weight.or(Initializer::Ones), Fan::NONE)?;
        let bias = cx.parameter("bias", &count, self.bias.or(Initializer::Zeros), Fan::NONE)?;
        let g = &mut cx.graph;
        let (weight, bias) = (g.reshape(weight, &shape)?, g.reshape(bias, &shape)?);
        let scaled = g.mul(y, weight)?;
        Ok(g.add(scaled, bias)?)
    }
}
