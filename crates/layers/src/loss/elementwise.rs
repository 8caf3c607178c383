//! What losses of an output and a target of one shape share.

use onestep_engine::{DType, Graph, GraphError, Value};

use super::{LossContext, LossValues, Reduction};
use crate::error::LayerError;

/// A target of the output's shape, and the reduction of what `each` makes of output
/// and target.
pub(super) fn build(
    cx: &mut LossContext<'_>,
    reduction: Reduction,
    each: impl FnOnce(&mut Graph, Value, Value) -> Result<Value, GraphError>,
) -> Result<LossValues, LayerError> {
    let output = cx.output();
    let target = cx.target(&cx.dims(), DType::F32)?;
    let losses = each(cx.graph, output, target)?;
    let reduced = cx.reduce(losses, reduction)?;
    Ok(cx.finish(target, reduced, output))
}

/// `|output - target|`
pub(super) fn distance(g: &mut Graph, output: Value, target: Value) -> Result<Value, GraphError> {
    let error = g.sub(output, target)?;
    g.abs(error)
}

/// `a^2 / 2` up to `delta`, `delta (a - delta/2)` beyond, of a distance `a`, divided by `scale`: with
/// `q = min(a, delta)` both are `q/scale (a - q/2)`. Neither a square of what is tiny nor the
/// reciprocal of a scale is taken, which might leave f32.
pub(super) fn huber(g: &mut Graph, a: Value, delta: f32, scale: f32) -> Result<Value, GraphError> {
    let delta = g.constant(delta)?;
    let q = g.min(a, delta)?;
    let half = g.scale(q, 0.5)?;
    let rest = g.sub(a, half)?;
    let scale = g.constant(scale)?;
    let slope = g.div(q, scale)?;
    g.mul(slope, rest)
}
