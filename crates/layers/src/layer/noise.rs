//! What layers that drop at random share.

use onestep_engine::{Graph, GraphError, Value};

use crate::context::BuildContext;
use crate::error::LayerError;

/// The dimensions of `x` with those from `first` on 1: of a mask that is the same along them.
pub(super) fn axes_as_one(cx: &BuildContext, x: Value, first: usize) -> Vec<usize> {
    let mut dims = cx.dims(x);
    dims.iter_mut().skip(first).for_each(|dim| *dim = 1);
    dims
}

/// 0 with probability `p`, else 1.
fn kept(g: &mut Graph, p: f32, dims: &[usize]) -> Result<Value, GraphError> {
    let noise = g.random_uniform(dims)?;
    let threshold = g.constant(p)?;
    g.ge(noise, threshold)
}

fn check(cx: &BuildContext, x: Value, p: f32) -> Result<(), LayerError> {
    cx.expect_f32(x)?;
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    Err(cx.option_error("p", "in [0, 1]", p))
}

/// In training `x` times a mask of these dimensions, 0 with probability `p` and else `1 / (1 - p)`; `x`
/// otherwise.
pub(super) fn drop(
    cx: &mut BuildContext,
    x: Value,
    p: f32,
    mask: &[usize],
) -> Result<Value, LayerError> {
    check(cx, x, p)?;
    if !cx.training() || p == 0.0 {
        return Ok(x);
    }
    let g = &mut cx.graph;
    let kept = kept(g, p, mask)?;
    // Nothing is kept with p = 1, and 0 times infinity would be NaN.
    let factor = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    let mask = g.scale(kept, factor)?;
    Ok(g.mul(x, mask)?)
}

/// What a scaled exponential linear unit has far below 0, in place of what is dropped, and an affine map
/// that gives mean and variance back.
pub(super) fn saturate(
    cx: &mut BuildContext,
    x: Value,
    p: f32,
    mask: &[usize],
) -> Result<Value, LayerError> {
    const SATURATION: f32 = -1.758_099_3;
    check(cx, x, p)?;
    if !cx.training() || p == 0.0 {
        return Ok(x);
    }
    let g = &mut cx.graph;
    if p == 1.0 {
        // As in PyTorch: nothing is left, and there is no variance to give back.
        return Ok(g.scale(x, 0.0)?);
    }
    let a = 1.0 / ((SATURATION * SATURATION * p + 1.0) * (1.0 - p)).sqrt();
    let kept = kept(g, p, mask)?;
    let saturation = g.constant(SATURATION)?;
    let y = g.select(kept, x, saturation)?;
    let y = g.scale(y, a)?;
    Ok(g.offset(y, -a * SATURATION * p)?)
}
