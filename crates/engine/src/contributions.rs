//! The gradient of a value that very many read, such as the weights of a recurrence: what would be as many
//! sums is put together.

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{MatMul, Op};

/// From so many readers on. A few sums are fused with what reads them; more would go over the whole value
/// each.
pub(crate) const MANY: usize = 8;

/// The sum of the contributions: gradients of parts side by side, products of one kind as one.
pub(crate) fn sum(graph: &mut Graph, parts: &[Value]) -> Result<Option<Value>, GraphError> {
    let mut rest = Vec::new();
    let (mut cut, mut products) = (Vec::new(), Vec::new());
    for &part in parts {
        match (Cut::of(graph, part), Product::of(graph, part)) {
            (Some(part), _) => cut.push(part),
            (_, Some(product)) => products.push(product),
            _ => rest.push(part),
        }
    }
    let mut terms = side_by_side(graph, cut)?;
    terms.extend(as_one(graph, products)?);
    terms.extend(rest);
    let mut sum: Option<Value> = None;
    for term in terms {
        sum = Some(match sum {
            Some(sum) => graph.add(sum, term)?,
            None => term,
        });
    }
    Ok(sum)
}

/// The gradient of a slice along one axis: what is between zeros.
#[derive(Clone, Copy)]
struct Cut {
    whole: Value,
    within: Value,
    axis: usize,
    start: usize,
    end: usize,
}

impl Cut {
    fn of(graph: &Graph, whole: Value) -> Option<Cut> {
        let Op::Pad(pad) = graph.op(whole) else { return None };
        let within = *graph.node(whole).inputs.first()?;
        let mut axes = (0..pad.low.len()).filter(|&axis| pad.low[axis] + pad.high[axis] > 0);
        let (axis, None, 0.0) = (axes.next()?, axes.next(), pad.value) else { return None };
        let start = pad.low[axis];
        Some(Cut { whole, within, axis, start, end: start + graph.shape(within).dims()[axis] })
    }
}

/// Parts that do not overlap as one value, and so on until none is left.
fn side_by_side(graph: &mut Graph, mut parts: Vec<Cut>) -> Result<Vec<Value>, GraphError> {
    parts.sort_by_key(|part| (part.axis, part.start));
    let mut rows = Vec::new();
    while let Some(first) = parts.first().copied() {
        let mut row: Vec<Cut> = Vec::new();
        parts.retain(|part| {
            let end = row.last().map_or(0, |last| last.end);
            let fits = part.axis == first.axis && part.start >= end;
            if fits {
                row.push(*part);
            }
            !fits
        });
        rows.push(match row[..] {
            [only] => only.whole,
            _ => joined(graph, &row)?,
        });
    }
    Ok(rows)
}

/// The parts with zeros in the gaps.
fn joined(graph: &mut Graph, row: &[Cut]) -> Result<Value, GraphError> {
    let (axis, mut at) = (row[0].axis, 0);
    let dims = graph.shape(row[0].whole).dims().to_vec();
    let mut operands = Vec::with_capacity(row.len());
    let gap = |graph: &mut Graph, operands: &mut Vec<Value>, size: usize| {
        if size > 0 {
            let mut dims = dims.clone();
            dims[axis] = size;
            let zero = graph.constant(0.0)?;
            operands.push(graph.broadcast(zero, &dims)?);
        }
        Ok::<(), GraphError>(())
    };
    for part in row {
        gap(graph, &mut operands, part.start - at)?;
        operands.push(part.within);
        at = part.end;
    }
    gap(graph, &mut operands, dims[axis] - at)?;
    graph.concat(&operands, axis)
}

/// A product of two matrices.
#[derive(Clone, Copy)]
struct Product {
    op: MatMul,
    a: Value,
    b: Value,
}

impl Product {
    fn of(graph: &Graph, value: Value) -> Option<Product> {
        let node = graph.node(value);
        match (&node.op, &node.inputs[..]) {
            (Op::MatMul(op), &[a, b]) => {
                let matrices = [a, b].iter().all(|&x| graph.shape(x).rank() == 2);
                matrices.then_some(Product { op: *op, a, b })
            }
            _ => None,
        }
    }
}

/// `sum_i a_i b_i` as one product of the operands side by side along what is summed over.
fn as_one(graph: &mut Graph, mut products: Vec<Product>) -> Result<Vec<Value>, GraphError> {
    let mut terms = Vec::new();
    while let Some(first) = products.first().copied() {
        let (alike, others) = products.into_iter().partition(|product| product.op == first.op);
        products = others;
        let alike: Vec<Product> = alike;
        let a: Vec<Value> = alike.iter().map(|product| product.a).collect();
        let b: Vec<Value> = alike.iter().map(|product| product.b).collect();
        let MatMul { transpose_a, transpose_b } = first.op;
        let a = graph.concat(&a, usize::from(!transpose_a))?;
        let b = graph.concat(&b, usize::from(transpose_b))?;
        terms.push(graph.matmul_with(a, b, transpose_a, transpose_b)?);
    }
    Ok(terms)
}
