//! What the tests share: numbers, evaluation, and gradients by finite differences.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod layers;
pub(crate) mod own_cells;
pub(crate) mod transformers;

use std::collections::HashMap;

use onestep_engine::ops::Op;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{Graph, Mode, Shape, Value, gradients, philox};
use onestep_layers::{InputType, LayerError, LayerSpec, Model, ModelSpec};

/// Leaves by name.
pub(crate) type Leaves = HashMap<String, Array>;

/// The context of all evaluations; dropout's masks depend on it.
pub(crate) const CONTEXT: Context = Context { seed: 5, step: 3 };

/// Numbers in `(low, high)`, other ones for each `stream`.
pub(crate) fn numbers(shape: &[usize], stream: u32, low: f64, high: f64) -> Array {
    let shape = Shape::new(shape).unwrap();
    let draw = |i| f64::from(philox::uniform(42, 0, stream, i as u64));
    let data = (0..shape.elements()).map(|i| low + (high - low) * draw(i)).collect();
    Array::new(shape, data).unwrap()
}

/// A model of one layer, with the input's type that the layer needs.
pub(crate) fn model_for(layer: &LayerSpec, input: &[usize]) -> Result<Model, LayerError> {
    let mut spec = ModelSpec::new("test", input, vec![layer.clone()]);
    if matches!(layer, LayerSpec::Embedding(_) | LayerSpec::EmbeddingBag(_)) {
        spec.input_mut().unwrap().dtype = InputType::I32;
    }
    spec.compile()
}

/// Numbers for the parameters and states of a model. Scales and variances are positive.
pub(crate) fn fill(model: &Model) -> Leaves {
    let parameters = model.parameters().iter().map(|p| (&p.info.name, p.info.shape.dims()));
    let states = model.states().iter().map(|s| (&s.name, s.shape.dims()));
    let all = parameters.chain(states).zip(100..);
    all.map(|((name, dims), stream)| (name.clone(), numbers(dims, stream, 0.3, 1.4))).collect()
}

/// One value of a graph.
pub(crate) fn value(graph: &Graph, leaves: &Leaves, target: Value) -> Array {
    evaluate(graph, leaves, &CONTEXT, &[target]).unwrap().remove(0)
}

/// The output of a model for an input, with [`fill`]ed parameters.
pub(crate) fn output(model: &Model, mode: Mode, input: &Array) -> Array {
    let forward = model.forward(mode, input.shape.dims()[0]).unwrap();
    let mut leaves = fill(model);
    leaves.insert("input".into(), input.clone());
    value(&forward.graph, &leaves, forward.output())
}

/// Holds the gradient of the scalar `loss` in each f32 leaf but the scalars against central
/// differences.
pub(crate) fn check_gradients(graph: &Graph, loss: Value, leaves: &Leaves, context: &str) {
    let mut graph = graph.clone();
    let targets: Vec<(String, Value)> = graph
        .values()
        .filter_map(|v| match graph.op(v) {
            Op::Leaf(leaf) if leaf.ty.dtype.is_float() => Some((leaf.name.clone(), v)),
            _ => None,
        })
        .collect();
    let values: Vec<Value> = targets.iter().map(|(_, v)| *v).collect();
    let grads = gradients(&mut graph, loss, &values).unwrap();
    let grads = evaluate(&graph, leaves, &CONTEXT, &grads).unwrap();
    for ((name, _), grad) in targets.iter().zip(grads) {
        for (i, &got) in grad.data.iter().enumerate() {
            let h = 1e-5;
            let shifted = |by: f64| {
                let mut leaves = leaves.clone();
                leaves.get_mut(name).unwrap().data[i] += by;
                value(&graph, &leaves, loss).data[0]
            };
            let want = (shifted(h) - shifted(-h)) / (2.0 * h);
            let allowed = 1e-6 * (1.0 + want.abs());
            assert!(
                (got - want).abs() < allowed,
                "{context}: the gradient of {name}[{i}] is {got}, differences say {want}"
            );
        }
    }
}

/// Checks the gradients of a model in its input and parameters, of the sum of the output with
/// fixed weights.
pub(crate) fn check_model_gradients(model: &Model, mode: Mode, input: Array, context: &str) {
    let forward = model.forward(mode, input.shape.dims()[0]).unwrap();
    let output = forward.output();
    let mut graph = forward.graph;
    let dims = graph.shape(output).dims().to_vec();
    let weights: Vec<f32> = numbers(&dims, 7, -1.0, 1.0).data.iter().map(|&w| w as f32).collect();
    let weights = graph.constant_tensor(&dims, &weights).unwrap();
    let product = graph.mul(output, weights).unwrap();
    let loss = graph.sum_all(product).unwrap();
    let mut leaves = fill(model);
    leaves.insert("input".into(), input);
    check_gradients(&graph, loss, &leaves, context);
}
