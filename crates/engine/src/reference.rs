//! A plain f64 evaluator: what a graph means, in loops anyone can check. It holds executors to
//! account in the conformance tests, differentiates by finite differences, and folds constants.

use std::collections::HashMap;

use onestep_memory::Shape;

use crate::error::GraphError;
use crate::graph::{Graph, Type, Value};
use crate::ops::Op;

/// A contiguous array of f64, whatever the dtype of the value it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Shape,
    /// The elements in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// An array from its elements.
    ///
    /// # Errors
    /// [`GraphError::Shape`] when the count is not that of the shape.
    pub fn new(shape: Shape, data: Vec<f64>) -> Result<Self, GraphError> {
        if shape.elements() != data.len() {
            return Err(GraphError::shape(
                "array",
                format!("{} elements for shape {shape}", shape.elements()),
                data.len(),
            ));
        }
        Ok(Array { shape, data })
    }

    /// An array whose element at each multi-index is computed by `f`.
    pub(crate) fn from_fn(shape: &Shape, mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let mut data = Vec::with_capacity(shape.elements());
        for_each_index(shape.dims(), |index| data.push(f(index)));
        Array { shape: shape.clone(), data }
    }

    /// An array filled with one number.
    pub(crate) fn filled(shape: &Shape, value: f64) -> Self {
        Array { shape: shape.clone(), data: vec![value; shape.elements()] }
    }

    /// The element at a multi-index.
    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        self.data[self.offset(index)]
    }

    /// The position of a multi-index in `data`.
    pub(crate) fn offset(&self, index: &[usize]) -> usize {
        index.iter().zip(self.shape.dims()).fold(0, |offset, (&i, &dim)| offset * dim + i)
    }
}

/// Calls `f` with each multi-index of `dims` in row-major order.
pub(crate) fn for_each_index(dims: &[usize], mut f: impl FnMut(&[usize])) {
    let mut index = vec![0; dims.len()];
    for _ in 0..dims.iter().product::<usize>() {
        f(&index);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// What a step knows besides its feeds: the key of its random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step.
    pub step: u64,
}

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
    let live = live_values(graph, targets);
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

/// Which values the targets depend on.
pub(crate) fn live_values(graph: &Graph, targets: &[Value]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes().len()];
    for target in targets {
        live[target.index()] = true;
    }
    for value in graph.values().rev() {
        if live[value.index()] {
            for input in &graph.node(value).inputs {
                live[input.index()] = true;
            }
        }
    }
    live
}
