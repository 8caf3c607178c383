//! What activations share.

use onestep_engine::{Graph, GraphError, Value};

use crate::context::BuildContext;
use crate::error::LayerError;

/// Makes the type of an activation without options: its documentation, its name, the operations for
/// an element, and its ops.
macro_rules! plain {
    ($(#[$doc:meta])+ $name:ident, flops = $flops:literal, |$g:ident, $x:ident| $body:block) => {
        $(#[$doc])+
        #[derive(
            Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The layer's name.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
        }

        impl super::Layer for $name {
            fn build(
                &self,
                cx: &mut crate::context::BuildContext,
                $x: onestep_engine::Value,
            ) -> Result<onestep_engine::Value, crate::error::LayerError> {
                let $g = &mut cx.graph;
                Ok($body?)
            }

            fn flops(&self, shapes: &super::Shapes) -> u64 {
                shapes.per_output($flops)
            }
        }
    };
}
pub(super) use plain;

/// `x > 0 ? x : otherwise`. At 0, and for NaN, the result and its gradient are those of
/// `otherwise`, as in PyTorch.
pub(super) fn where_positive(
    g: &mut Graph,
    x: Value,
    otherwise: Value,
) -> Result<Value, GraphError> {
    let zero = g.constant(0.0)?;
    let positive = g.gt(x, zero)?;
    g.select(positive, x, otherwise)
}

/// `x > 0 ? 0 : x`: what the branch for the other side is made of. There the gradient of that
/// branch is 0, and 0 times what a large or infinite `x` makes of it would be NaN.
pub(super) fn zero_where_positive(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let zero = g.constant(0.0)?;
    let positive = g.gt(x, zero)?;
    g.select(positive, zero, x)
}

/// `min(max(x, low), high)` with a gradient of 0 at the bounds and beyond; NaN stays NaN.
pub(super) fn bounded(g: &mut Graph, x: Value, low: f32, high: f32) -> Result<Value, GraphError> {
    let (low, high) = (g.constant(low)?, g.constant(high)?);
    let (below, above) = (g.le(x, low)?, g.ge(x, high)?);
    let upper = g.select(above, high, x)?;
    g.select(below, low, upper)
}

/// `log(1 + e^x)` as `max(x, 0) + log(1 + e^-|x|)`, which does not overflow.
pub(crate) fn softplus(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let negative = g.neg(x)?;
    let log = log_sigmoid(g, negative)?;
    g.neg(log)
}

/// `log(1 / (1 + e^-x))` as `min(x, 0) - log(1 + e^-|x|)`, which does not overflow.
pub(crate) fn log_sigmoid(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let size = g.abs(x)?;
    let negative = g.neg(size)?;
    let decay = g.exp(negative)?;
    let correction = g.log1p(decay)?;
    // The gradients of |x| (0) and min (a half) at 0 add up to the true one.
    let zero = g.constant(0.0)?;
    let low = g.min(x, zero)?;
    g.sub(low, correction)
}

/// The two halves of `x` along an axis.
pub(super) fn halves(
    cx: &mut BuildContext,
    x: Value,
    dim: isize,
) -> Result<[Value; 2], LayerError> {
    let axis = cx.sample_axis(x, "dim", dim)?;
    let size = cx.dims(x)[axis];
    if !size.is_multiple_of(2) {
        return Err(cx.input_error(format!("an even size of axis {axis}, to halve it"), size));
    }
    let first = cx.graph.slice_axis(x, axis, 0, size / 2)?;
    Ok([first, cx.graph.slice_axis(x, axis, size / 2, size)?])
}
