//! Reverse-mode differentiation: the gradient of a scalar as more nodes of the same graph.

use std::collections::HashMap;

use crate::contributions;
use crate::graph::{Graph, GraphError, Value};
use crate::ops::Site;

/// Appends the gradients of the scalar `loss` in each of `targets` to `graph`. A target on which
/// the loss does not depend has a gradient of zeros.
///
/// ```
/// use onestep_engine::{gradients, Graph};
/// # fn main() -> Result<(), onestep_engine::GraphError> {
/// let mut g = Graph::new();
/// let w = g.parameter("w", &[3])?;
/// let square = g.mul(w, w)?;
/// let loss = g.sum_all(square)?;
/// let grads = gradients(&mut g, loss, &[w])?;
/// assert_eq!(g.shape(grads[0]).dims(), &[3]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The loss is not a scalar, or an op on the way has no gradient.
pub fn gradients(
    graph: &mut Graph,
    loss: Value,
    targets: &[Value],
) -> Result<Vec<Value>, GraphError> {
    if graph.shape(loss).rank() != 0 {
        return Err(GraphError::shape("gradients", "a scalar loss", graph.type_of(loss)));
    }
    let depends = depends_on(graph, targets);
    let mut grads: Vec<Option<Value>> = vec![None; loss.index() + 1];
    grads[loss.index()] = Some(graph.constant(1.0)?);
    let mut many = read_by_many(graph, &depends, loss);
    for index in (0..=loss.index()).rev() {
        let value = Value::new(index);
        if let Some(parts) = many.remove(&value) {
            grads[index] = contributions::sum(graph, &parts)?;
        }
        let (Some(grad), true) = (grads[index], depends[index]) else { continue };
        let node = graph.node(value).clone();
        if node.inputs.is_empty() {
            continue;
        }
        let site = Site { inputs: &node.inputs, output: value };
        let first_new = graph.nodes().len();
        let contributions = node.op.rule().gradient(graph, &site, grad)?;
        graph.label_from(first_new, node.label.as_deref());
        for (&input, contribution) in node.inputs.iter().zip(contributions) {
            let Some(contribution) = contribution.filter(|_| depends[input.index()]) else {
                continue;
            };
            if let Some(parts) = many.get_mut(&input) {
                parts.push(contribution);
                continue;
            }
            let slot = &mut grads[input.index()];
            *slot = Some(match *slot {
                Some(sum) => graph.add(sum, contribution)?,
                None => contribution,
            });
        }
    }
    targets.iter().map(|&t| grad_or_zeros(graph, &grads, t)).collect()
}

/// Values that very many nodes read, whose contributions are put together once all are known.
fn read_by_many(graph: &Graph, depends: &[bool], loss: Value) -> HashMap<Value, Vec<Value>> {
    let mut readers: HashMap<Value, usize> = HashMap::new();
    for node in &graph.nodes()[..=loss.index()] {
        for input in node.inputs.iter().filter(|input| depends[input.index()]) {
            *readers.entry(*input).or_default() += 1;
        }
    }
    readers.retain(|_, count| *count >= contributions::MANY);
    readers.into_keys().map(|value| (value, Vec::new())).collect()
}

fn grad_or_zeros(
    graph: &mut Graph,
    grads: &[Option<Value>],
    target: Value,
) -> Result<Value, GraphError> {
    match grads.get(target.index()).copied().flatten() {
        Some(grad) => Ok(grad),
        None => {
            let zero = graph.constant(0.0)?;
            graph.broadcast_like(zero, target)
        }
    }
}

/// Which values depend on any of the targets.
fn depends_on(graph: &Graph, targets: &[Value]) -> Vec<bool> {
    let mut depends = vec![false; graph.nodes().len()];
    for target in targets {
        depends[target.index()] = true;
    }
    for value in graph.values() {
        if graph.node(value).inputs.iter().any(|i| depends[i.index()]) {
            depends[value.index()] = true;
        }
    }
    depends
}
