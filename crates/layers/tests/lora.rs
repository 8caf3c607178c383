//! Low-rank adapters: where they begin, what is refused, and what is left when they are merged.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{Mode, Value};
use onestep_layers::{
    BuildContext, Dense, Layer, LayerError, Lora, Model, ModelBuilder, ModelSpec, StateTensor,
    merge_lora,
};

/// What a model gives with such tensors.
fn output(model: &Model, tensors: &[StateTensor], input: &Array) -> Vec<f64> {
    let wide = |data: &[f32]| data.iter().map(|&x| f64::from(x)).collect();
    let leaf = |t: &StateTensor| {
        let shape = onestep_engine::Shape::new(&t.shape).unwrap();
        (t.name.clone(), Array::new(shape, wide(&t.data)).unwrap())
    };
    let mut leaves: common::Leaves = tensors.iter().map(leaf).collect();
    leaves.insert("input".into(), input.clone());
    let forward = model.forward(Mode::Evaluate, input.shape.dims()[0]).unwrap();
    common::value(&forward.graph, &leaves, forward.output()).data
}

fn initial(model: &Model) -> Vec<StateTensor> {
    let shapes = model.parameters().iter().map(|p| p.info.shape.dims());
    let all = model.initial_parameters(3).zip(shapes);
    all.map(|((name, data), shape)| StateTensor::new(name, shape, data)).collect()
}

/// Every parameter drawn, so that no adapter is 0.
fn drawn(model: &Model) -> Vec<StateTensor> {
    let filled = common::fill(model);
    let names = model.parameters().iter().map(|p| p.info.name.as_str());
    let tensor = |name: &str| {
        let array = &filled[name];
        let data = array.data.iter().map(|&x| x as f32).collect();
        StateTensor::new(name, array.shape.dims(), data)
    };
    names.map(tensor).collect()
}

/// Adapters in a list, in a container and through shared weights.
fn adapted() -> Model {
    ModelBuilder::new([6])
        .dense_lora(5, true, Lora::new(2, 3.0), "fc")
        .tanh("t")
        .repeat(2, |b| b.dense_lora(5, false, Lora::new(3, 0.5), "fc").tanh("t"), "blocks")
        .dense_lora(5, true, Lora::new(1, -1.0), "a")
        .tanh("u")
        .dense_lora(5, true, Lora::new(1, -1.0), "b")
        .sharing("a")
        .build()
        .unwrap()
}

#[test]
fn training_begins_at_the_given_weights() {
    let model = adapted();
    let tensors = initial(&model);
    let input = common::numbers(&[4, 6], 1, -2.0, 2.0);
    let (spec, plain) = merge_lora(&model, tensors.clone()).unwrap();
    assert_eq!(output(&model, &tensors, &input), output(&spec.compile().unwrap(), &plain, &input));
    // A begins as the weight of a dense layer, within 1 / sqrt(in) of 0, and B at 0.
    let of = |name: &str| &tensors.iter().find(|t| t.name == name).unwrap().data;
    let bound = 1.0 / 6f32.sqrt();
    assert!(of("fc.lora_a").iter().all(|x| x.abs() <= bound));
    assert!(of("fc.lora_a").iter().any(|x| x.abs() > 0.5 * bound));
    assert!(of("fc.lora_b").iter().all(|&x| x == 0.0));
    assert_eq!(plain.iter().find(|t| t.name == "fc.weight").unwrap().data, *of("fc.weight"));
}

#[test]
fn a_merged_model_gives_what_the_adapted_one_gave() {
    let model = adapted();
    let tensors = drawn(&model);
    let input = common::numbers(&[4, 6], 1, -1.0, 1.0);
    let (spec, merged) = merge_lora(&model, tensors.clone()).unwrap();
    assert!(!spec.to_json().unwrap().contains("lora"));
    assert!(merged.iter().all(|tensor| !tensor.name.contains("lora")));
    let plain = spec.compile().unwrap();
    let (before, after) = (output(&model, &tensors, &input), output(&plain, &merged, &input));
    for (x, y) in before.iter().zip(&after) {
        assert!((x - y).abs() < 1e-5 * (1.0 + x.abs()), "{x} {y}");
    }
    // The adapters do something.
    let rest: Vec<StateTensor> =
        tensors.into_iter().filter(|tensor| !tensor.name.contains("lora")).collect();
    let without = output(&plain, &rest, &input);
    assert!(before.iter().zip(&without).any(|(x, y)| (x - y).abs() > 1e-2));
}

#[test]
fn what_a_weight_cannot_stand_for_is_not_merged() {
    let refused = |model: Model, wanted: &str| {
        let error = merge_lora(&model, drawn(&model)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    let shared = |second: Option<Lora>| {
        let model = ModelBuilder::new([3])
            .dense_lora(3, true, Lora::new(2, 4.0), "a")
            .layer(Dense { lora: second, ..Dense::new(3) }.named("b"))
            .sharing("a");
        model.build().unwrap()
    };
    refused(shared(None), "`a.weight`");
    refused(shared(Some(Lora::new(2, 1.0))), "0.5 times");
    let own = |cx: &mut BuildContext, x: Value| {
        Dense { lora: Some(Lora::new(1, 1.0)), ..Dense::new(3) }.build(cx, x)
    };
    refused(ModelBuilder::new([3]).custom("mine", own).build().unwrap(), "`mine.weight`");
    let model = adapted();
    let mut tensors = drawn(&model);
    tensors.retain(|tensor| tensor.name != "fc.lora_b");
    let error = merge_lora(&model, tensors).unwrap_err().to_string();
    assert!(error.contains("fc.lora_b"), "{error}");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    for (rank, alpha, wanted) in [
        (0, 1.0, ["fc", "lora.rank", "from 1 to 3"]),
        (4, 1.0, ["fc", "lora.rank", "got 4"]),
        (1, f32::NAN, ["fc", "lora.alpha", "finite"]),
        (1, f32::INFINITY, ["fc", "lora.alpha", "finite"]),
    ] {
        let model = ModelBuilder::new([5]).dense_lora(3, true, Lora::new(rank, alpha), "fc");
        let error = model.build().unwrap_err().to_string();
        assert!(wanted.iter().all(|part| error.contains(part)), "{error}");
    }
    let read = |lora: &str| {
        let layer =
            format!(r#"{{"type": "dense", "name": "fc", "out_features": 4, "lora": {lora}}}"#);
        ModelSpec::from_json(&format!(r#"{{"input": {{"shape": [4]}}, "layers": [{layer}]}}"#))
    };
    let spec = read(r#"{"rank": 2, "alpha": 16}"#).unwrap();
    assert_eq!(spec, ModelBuilder::new([4]).dense_lora(4, true, Lora::new(2, 16.0), "fc").spec());
    assert_eq!(ModelSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
    for (lora, wanted) in
        [(r#"{"rank": 2}"#, "alpha"), (r#"{"rank": 2, "alpha": 1, "r": 1}"#, "`r`")]
    {
        let error = read(lora).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn the_summary_counts_adapters() -> Result<(), LayerError> {
    let model = ModelBuilder::new([7, 6]).dense_lora(5, true, Lora::new(2, 3.0), "fc").build()?;
    let row = &model.layers()[0];
    assert_eq!(row.parameters, 6 * 5 + 5 + 2 * (6 + 5));
    // A position: the product and the bias; A and the scale; B and the sum.
    assert_eq!(row.flops, 7 * (5 * (2 * 6 + 1) + 2 * (2 * 6 + 1) + 5 * (2 * 2 + 1)));
    Ok(())
}
