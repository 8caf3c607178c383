//! Decompositions that differentiate: what is differentiated by must depend on nothing else of the graph.

use crate::graph::{Graph, GraphError, Value};

/// What `build` appends, in a graph of its own, to leaves of the operands' types, then copied behind `g` with the
/// operands themselves in their place.
pub(super) fn apart(
    g: &mut Graph,
    operands: &[Value],
    build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value, GraphError>,
) -> Result<Value, GraphError> {
    let mut body = Graph::new();
    let mut leaves = Vec::with_capacity(operands.len());
    for (at, &operand) in operands.iter().enumerate() {
        let ty = g.type_of(operand).clone();
        leaves.push(body.input(&at.to_string(), ty.shape.dims(), ty.dtype)?);
    }
    let root = build(&mut body, &leaves)?;
    let map = g.splice(&body, |leaf, _| {
        leaves.iter().position(|&known| known == leaf).map(|at| operands[at])
    })?;
    Ok(map[root.index()])
}
