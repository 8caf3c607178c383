//! Attention as a layer: each way to hide keys, its gradient, and what it refuses.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{Mode, Shape};
use onestep_layers::{InputSpec, InputType, Model, ModelBuilder, ScaledDotProductAttention};

type Inputs = Vec<(&'static str, InputSpec)>;

fn numbers(dims: [usize; 3]) -> InputSpec {
    InputSpec::new(dims)
}

fn queries_and_keys() -> Inputs {
    vec![("query", numbers([2, 3, 4])), ("key", numbers([2, 5, 4])), ("value", numbers([2, 5, 2]))]
}

fn model(inputs: Inputs, layer: ScaledDotProductAttention) -> Model {
    let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
    ModelBuilder::with_inputs(inputs).layer(layer).taking(names).build().unwrap()
}

/// Leaves for a batch of two, with `more`.
fn leaves(more: &[(&str, &[usize], &[f64])]) -> common::Leaves {
    let mut leaves = common::Leaves::new();
    let operands = [("query", [2, 2, 3, 4]), ("key", [2, 2, 5, 4]), ("value", [2, 2, 5, 2])];
    for ((name, dims), stream) in operands.into_iter().zip(1..) {
        leaves.insert(name.to_owned(), common::numbers(&dims, stream, -2.0, 2.0));
    }
    for (name, dims, data) in more {
        let array = Array::new(Shape::new(dims).unwrap(), data.to_vec()).unwrap();
        leaves.insert((*name).to_owned(), array);
    }
    leaves
}

/// The output, after the gradients of its square's sum in all numbers have been checked.
fn checked(model: &Model, leaves: &common::Leaves) -> Vec<f64> {
    let forward = model.forward(Mode::Train, 2).unwrap();
    let y = forward.output();
    let mut g = forward.graph.clone();
    let square = g.mul(y, y).unwrap();
    let loss = g.sum_all(square).unwrap();
    common::check_gradients(&g, loss, leaves, "attention");
    common::value(&g, leaves, y).data
}

#[test]
fn gradients_where_keys_are_hidden() {
    let causal = ScaledDotProductAttention { is_causal: true, ..Default::default() };
    let dropped = ScaledDotProductAttention { dropout_p: 0.4, ..causal.clone() };
    for layer in [ScaledDotProductAttention::new(), causal, dropped] {
        checked(&model(queries_and_keys(), layer), &leaves(&[]));
    }
    let mut with_bias = queries_and_keys();
    with_bias.push(("mask", InputSpec::new([3, 5])));
    let bias: Vec<f64> = (0..30).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let layer = ScaledDotProductAttention { scale: Some(0.3), ..Default::default() };
    checked(&model(with_bias, layer), &leaves(&[("mask", &[2, 3, 5], &bias)]));
}

#[test]
fn a_query_that_sees_no_key_gives_zero() {
    let mut inputs = queries_and_keys();
    let mask = InputSpec { shape: vec![3, 5], dtype: InputType::U8 };
    inputs.push(("mask", mask));
    let hidden = |i: usize| i / 5 == 1 || i % 4 == 3;
    let mask: Vec<f64> = (0..30).map(|i| f64::from(u8::from(!hidden(i)))).collect();
    let layer = ScaledDotProductAttention::new();
    let y = checked(&model(inputs, layer), &leaves(&[("mask", &[2, 3, 5], &mask)]));
    // [b, h, t, e]: the second query of the first sample.
    for (i, y) in y.iter().enumerate() {
        assert_eq!(*y == 0.0, i < 12 && i % 6 / 2 == 1, "{i}: {y}");
    }
}

#[test]
fn lengths_hide_the_keys_behind_them() {
    let mut inputs = queries_and_keys();
    inputs.push(("lengths", InputSpec::indices([1])));
    let layer = ScaledDotProductAttention { lengths: true, ..Default::default() };
    let with = model(inputs, layer);
    let mut short = leaves(&[("lengths", &[2, 1], &[3.0, 0.0])]);
    let y = checked(&with, &short);
    assert!(y[..12].iter().all(|&y| y != 0.0) && y[12..].iter().all(|&y| y == 0.0), "{y:?}");
    // What is behind them does not count.
    for name in ["key", "value"] {
        let array = short.get_mut(name).unwrap();
        let width = array.shape.dims()[3];
        for head in 0..2 {
            array.data[(head * 5 + 3) * width..(head * 5 + 5) * width].fill(9.0);
        }
    }
    assert_eq!(checked(&with, &short), y);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let refused = |inputs: Inputs, layer: ScaledDotProductAttention| {
        let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        let built = ModelBuilder::with_inputs(inputs).layer(layer).taking(names).build();
        built.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let mut fewer = queries_and_keys();
    fewer[0].1 = numbers([4, 3, 4]);
    let error = refused(fewer.clone(), ScaledDotProductAttention::new());
    assert!(error.contains("enable_gqa"), "{error}");
    let grouped = ScaledDotProductAttention { enable_gqa: true, ..Default::default() };
    assert_eq!(refused(fewer, grouped), "");
    let two = queries_and_keys()[..2].to_vec();
    let error = refused(two, ScaledDotProductAttention::new());
    assert!(error.contains("query, key, value") && error.contains("2 inputs"), "{error}");
    let always = ScaledDotProductAttention { dropout_p: 1.0, ..Default::default() };
    let error = refused(queries_and_keys(), always);
    assert!(error.contains("dropout_p") && error.contains("[0, 1)"), "{error}");
}
