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
