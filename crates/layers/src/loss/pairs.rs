//! What losses of several outputs share.

use onestep_engine::{Graph, GraphError, Value};

use super::LossContext;
use crate::error::LayerError;

/// Refuses outputs of other dimensions than the first.
pub(super) fn check_same(
    cx: &LossContext<'_>,
    loss: &'static str,
    outputs: &[Value],
) -> Result<(), LayerError> {
    let dims = cx.dims();
    match outputs.iter().find(|&&other| cx.graph.shape(other).dims() != dims) {
        None => Ok(()),
        Some(&other) => {
            let wanted = format!("outputs of one shape, {dims:?}");
            Err(LayerError::input(loss, wanted, format!("{:?}", cx.graph.shape(other).dims())))
        }
    }
}

/// Refuses outputs that are not of one shape `[batch, ..., features]`.
pub(super) fn check_rows(
    cx: &LossContext<'_>,
    loss: &'static str,
    outputs: &[Value],
) -> Result<(), LayerError> {
    if cx.dims().len() < 2 {
        let wanted = "outputs of [batch, ..., features]";
        return Err(LayerError::input(loss, wanted, format!("{:?}", cx.dims())));
    }
    check_same(cx, loss, outputs)
}

/// The sum of the products of `a` and `b` along the last axis.
pub(super) fn dot(g: &mut Graph, a: Value, b: Value) -> Result<Value, GraphError> {
    let last = g.shape(a).rank() - 1;
    let product = g.mul(a, b)?;
    g.sum(product, &[last], false)
}
