//! What losses of an output and a target of one shape share.

use onestep_engine::{DType, Graph, GraphError, Value};

use super::{LossContext, LossValues, Reduction};
use crate::error::LayerError;
use crate::layer::log_sigmoid;

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

/// `-(w t log s(x) + (1 - t) log(1 - s(x)))` of logits `x`, targets `t` and the logistic function `s`, computed as
/// `(1 - t) x - (1 + (w - 1) t) log s(x)`, which does not overflow.
pub(super) fn binary_cross_entropy(
    g: &mut Graph,
    x: Value,
    target: Value,
    weight: Option<Value>,
) -> Result<Value, GraphError> {
    let log_probability = log_sigmoid(g, x)?;
    let positive = match weight {
        None => log_probability,
        Some(weight) => {
            let extra = g.offset(weight, -1.0)?;
            let extra = g.mul(target, extra)?;
            let factor = g.offset(extra, 1.0)?;
            g.mul(log_probability, factor)?
        }
    };
    let one = g.constant(1.0)?;
    let negative = g.sub(one, target)?;
    let penalty = g.mul(negative, x)?;
    g.sub(penalty, positive)
}
