//! What activations share.

use onestep_engine::{Graph, GraphError, Value};

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
