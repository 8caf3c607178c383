//! A plain f64 evaluator: what a graph means, in loops anyone can check. It holds executors to
//! account in the conformance tests, and differentiates by finite differences.

use std::collections::HashMap;

use onestep_memory::Shape;

pub use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};
use crate::ops::Op;

/// Evaluates `targets` of `graph` in f64 with each leaf taken from `leaves` by name.
///
/// ```
/// use std::collections::HashMap;
/// use onestep_engine::{reference, DType, Graph, Shape};
/// # fn main() -> Result<(), onestep_engine::GraphError> {
/// let mut g = Graph::new();
/// let x = g.input("x", &[2], DType::F32)?;
/// let y = g.exp(x)?;
/// let x0 = reference::Array::new(Shape::new(&[2])?, vec![0.0, 1.0])?;
/// let leaves = HashMap::from([("x".to_owned(), x0)]);
/// let out = reference::evaluate(&g, &leaves, &reference::Context::default(), &[y])?;
/// assert_eq!(out[0].data, vec![1.0, 1f64.exp()]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A leaf that is missing from `leaves` or has another shape.
pub fn evaluate(
    graph: &Graph,
    leaves: &HashMap<String, Array>,
    context: &Context,
    targets: &[Value],
) -> Result<Vec<Array>, GraphError> {
    let live = graph.live(targets);
    let mut values: Vec<Option<Array>> = vec![None; graph.nodes().len()];
    for value in graph.values().filter(|v| live[v.index()]) {
        let node = graph.node(value);
        let array = match &node.op {
            Op::Leaf(leaf) => leaf_array(&leaf.name, &node.ty.shape, leaves)?,
            op => {
                let inputs: Vec<&Array> =
                    node.inputs.iter().filter_map(|i| values[i.index()].as_ref()).collect();
                op.rule().evaluate(context, &inputs, &node.ty)
            }
        };
        values[value.index()] = Some(array);
    }
    Ok(targets.iter().filter_map(|t| values[t.index()].clone()).collect())
}

/// Evaluates one op on operands that fit it. `out` is the type of its result.
pub fn evaluate_op(op: &Op, context: &Context, inputs: &[&Array], out: &Type) -> Array {
    op.rule().evaluate(context, inputs, out)
}

fn leaf_array(
    name: &str,
    shape: &Shape,
    leaves: &HashMap<String, Array>,
) -> Result<Array, GraphError> {
    let array = leaves.get(name).ok_or_else(|| GraphError::UnknownLeaf {
        name: name.to_owned(),
        known: leaves.keys().cloned().collect::<Vec<_>>().join(", "),
    })?;
    if &array.shape != shape {
        return Err(GraphError::shape("leaf", format!("{shape} for `{name}`"), &array.shape));
    }
    Ok(array.clone())
}
