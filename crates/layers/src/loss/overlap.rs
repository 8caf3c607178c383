//! What losses of the overlap of two regions share.

use onestep_engine::{DType, Value};

use super::{LossContext, LossValues, Reduction};
use crate::error::LayerError;

/// `1 - (both + smooth) / (both + alpha only-output + beta only-target + smooth)` of each sample, for the
/// probabilities of logits and a target of their shape, and the reduction of it.
pub(super) fn build(
    cx: &mut LossContext<'_>,
    [alpha, beta, smooth]: [f32; 3],
    reduction: Reduction,
) -> Result<LossValues, LayerError> {
    let (output, dims) = (cx.output(), cx.dims());
    let target = cx.target(&dims, DType::F32)?;
    let axes: Vec<usize> = (1..dims.len()).collect();
    let probability = cx.graph.sigmoid(output)?;
    let one = cx.graph.constant(1.0)?;
    let mut total = |a: Value, b: Value| {
        let product = cx.graph.mul(a, b)?;
        cx.graph.sum(product, &axes, false)
    };
    let both = total(probability, target)?;
    let (in_output, in_target) = (total(probability, one)?, total(target, one)?);
    let g = &mut *cx.graph;
    let only_output = g.sub(in_output, both)?;
    let only_target = g.sub(in_target, both)?;
    let over = g.offset(both, smooth)?;
    let false_positive = g.scale(only_output, alpha)?;
    let false_negative = g.scale(only_target, beta)?;
    let under = g.add(over, false_positive)?;
    let under = g.add(under, false_negative)?;
    let index = g.div(over, under)?;
    let losses = g.sub(one, index)?;
    let reduced = cx.reduce(losses, reduction)?;
    Ok(cx.finish(target, reduced, probability))
}
