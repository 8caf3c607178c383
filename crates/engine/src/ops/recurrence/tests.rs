//! The gradient rule against that of the primitives, and what does not fit.

use std::collections::HashMap;

use onestep_memory::{DType, Shape};

use super::Cell;
use crate::array::{Array, Context};
use crate::gradients;
use crate::graph::{Graph, GraphError, RecurrenceOptions, Value};
use crate::reference::evaluate;

const BATCH: usize = 3;
const STEPS: usize = 4;
const HIDDEN: usize = 5;

/// What is drawn of a recurrence.
#[derive(Clone, Copy, Debug)]
struct Kind {
    cell: Cell,
    reverse: bool,
    bias: bool,
    projection: bool,
    lengths: bool,
}

fn kinds() -> impl Iterator<Item = Kind> {
    let cells = [Cell::Tanh, Cell::Relu, Cell::Lstm, Cell::Gru];
    cells.into_iter().flat_map(|cell| {
        (0..16).filter_map(move |bits| {
            let [reverse, bias, projection, lengths] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let kind = Kind { cell, reverse, bias, projection, lengths };
            (cell == Cell::Lstm || !projection).then_some(kind)
        })
    })
}

/// A recurrence, a weighted sum of all that it gives, and all that it is differentiated by.
fn graph(kind: Kind, steps: usize) -> Result<(Graph, Value, Vec<Value>), GraphError> {
    let mut g = Graph::new();
    let wide = kind.cell.gates() * HIDDEN;
    let out = if kind.projection { 2 } else { HIDDEN };
    let mut by = vec![
        g.parameter("x", &[BATCH, steps, wide])?,
        g.parameter("w", &[out, wide])?,
        g.parameter("h", &[BATCH, out])?,
    ];
    let mut add = |g: &mut Graph, has: bool, name: &str, dims: &[usize]| {
        let value = has.then(|| g.parameter(name, dims)).transpose()?;
        by.extend(value);
        Ok::<_, GraphError>(value)
    };
    let c = add(&mut g, kind.cell == Cell::Lstm, "c", &[BATCH, HIDDEN])?;
    let options = RecurrenceOptions {
        reverse: kind.reverse,
        bias: add(&mut g, kind.bias, "b", &[kind.cell.biases() * HIDDEN])?,
        projection: add(&mut g, kind.projection, "p", &[HIDDEN, out])?,
        lengths: match kind.lengths {
            true => Some(g.input("lengths", &[BATCH], DType::I32)?),
            false => None,
        },
    };
    let y = g.recurrence(kind.cell, by[0], by[1], (by[2], c), options)?;
    let mut loss = g.constant(0.0)?;
    for (at, part) in [y.outputs, y.last].into_iter().chain(y.cell).enumerate() {
        let dims = g.shape(part).clone();
        let weight = g.input(&format!("weight{at}"), dims.dims(), DType::F32)?;
        let weighted = g.mul(part, weight)?;
        let sum = g.sum_all(weighted)?;
        loss = g.add(loss, sum)?;
    }
    Ok((g, loss, by))
}

fn leaves(g: &Graph) -> Result<HashMap<String, Array>, GraphError> {
    let mut leaves = HashMap::new();
    for node in g.nodes() {
        let crate::ops::Op::Leaf(leaf) = &node.op else { continue };
        let count = node.ty.shape.elements();
        let step = 0.7 + 0.13 * leaves.len() as f64;
        let data = match leaf.name.as_str() {
            // One of all steps, one of some, one of none.
            "lengths" => vec![4.0, 2.0, 0.0],
            _ => (0..count).map(|i| 0.9 * (1.0 + i as f64 * step).sin()).collect(),
        };
        leaves.insert(leaf.name.clone(), Array::new(node.ty.shape.clone(), data)?);
    }
    Ok(leaves)
}

fn assert_close(kind: Kind, got: &[Array], wanted: &[Array]) {
    assert_eq!(got.len(), wanted.len());
    for (which, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert_eq!(got.shape, wanted.shape);
        assert!(wanted.data.iter().any(|&x| x != 0.0), "{kind:?}: value {which} is 0");
        for (got, wanted) in got.data.iter().zip(&wanted.data) {
            assert!((got - wanted).abs() < 1e-9, "{kind:?}: value {which}: {got}, {wanted}");
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_steps_one_by_one() -> Result<(), GraphError> {
    for (kind, steps) in kinds().flat_map(|kind| [(kind, STEPS), (kind, 1)]) {
        if kind.lengths && steps == 1 {
            continue;
        }
        let (mut whole, loss, by) = graph(kind, steps)?;
        let (leaves, context) = (leaves(&whole)?, Context::default());
        // Differentiated step by step.
        let (mut parts, map) = whole.primitives()?;
        assert!(!parts.nodes().iter().any(|node| node.op.name().starts_with("recurrence")));
        let at = |value: &Value| map[value.index()];
        let found = gradients(&mut parts, at(&loss), &by.iter().map(at).collect::<Vec<_>>())?;
        let wanted = evaluate(&parts, &leaves, &context, &found)?;
        // By the rule, evaluated, and written out.
        let found = gradients(&mut whole, loss, &by)?;
        assert_close(kind, &evaluate(&whole, &leaves, &context, &found)?, &wanted);
        let (parts, map) = whole.primitives()?;
        let found: Vec<Value> = found.iter().map(|value| map[value.index()]).collect();
        assert_close(kind, &evaluate(&parts, &leaves, &context, &found)?, &wanted);
    }
    Ok(())
}

#[test]
fn a_sample_ends_at_its_length() -> Result<(), GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[2, 3, 1], DType::F32)?;
    let w = g.input("w", &[1, 1], DType::F32)?;
    let h = g.input("h", &[2, 1], DType::F32)?;
    let lengths = g.input("lengths", &[2], DType::I32)?;
    let mut values = Vec::new();
    for reverse in [false, true] {
        let options = RecurrenceOptions { reverse, lengths: Some(lengths), ..Default::default() };
        let y = g.recurrence(Cell::Relu, x, w, (h, None), options)?;
        values.extend([y.outputs, y.last]);
    }
    let array = |dims: &[usize], data: &[f64]| Array::new(Shape::new(dims)?, data.to_vec());
    let leaves = HashMap::from([
        ("x".to_owned(), array(&[2, 3, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?),
        ("w".to_owned(), array(&[1, 1], &[1.0])?),
        ("h".to_owned(), array(&[2, 1], &[10.0, 20.0])?),
        ("lengths".to_owned(), array(&[2], &[2.0, 0.0])?),
    ]);
    let got = evaluate(&g, &leaves, &Context::default(), &values)?;
    assert_eq!(got[0].data, [11.0, 13.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(got[1].data, [13.0, 20.0]);
    assert_eq!(got[2].data, [13.0, 12.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(got[3].data, [13.0, 20.0]);
    Ok(())
}

#[test]
fn what_does_not_fit_is_named() -> Result<(), GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[2, 3, 10], DType::F32)?;
    let w = g.input("w", &[5, 10], DType::F32)?;
    let h = g.input("h", &[2, 5], DType::F32)?;
    let none = RecurrenceOptions::default();
    let error = g.recurrence(Cell::Gru, x, w, (h, None), none).unwrap_err().to_string();
    assert!(error.contains("3 x hidden"), "{error}");
    let error = g.recurrence(Cell::Tanh, x, w, (h, None), none).unwrap_err().to_string();
    assert!(error.contains("[10, 10]"), "{error}");
    let error = g.recurrence(Cell::Lstm, x, w, (h, None), none).unwrap_err().to_string();
    assert!(error.contains("first cells"), "{error}");
    let options = RecurrenceOptions { projection: Some(w), ..none };
    let error = g.recurrence(Cell::Relu, x, w, (h, None), options).unwrap_err().to_string();
    assert!(error.contains("LSTM"), "{error}");
    Ok(())
}
