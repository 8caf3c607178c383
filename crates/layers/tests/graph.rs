//! Models that are graphs: several inputs and outputs, names, shared weights, repeated blocks.

mod common;

use common::{Leaves, check_gradients, fill, numbers, value};
use onestep_engine::{Mode, Shape, reference::Array};
use onestep_layers::{
    BatchNorm, Concat, Dense, InputSpec, LayerError, Many, Mean, Model, ModelBuilder, ModelSpec,
    Multiply,
};

fn spec(text: &str) -> ModelSpec {
    let spec = ModelSpec::from_json(text).unwrap();
    assert_eq!(ModelSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
    spec
}

fn model(text: &str) -> Model {
    spec(text).compile().unwrap()
}

/// The value of an output for inputs that are numbers of the stream's number, and the leaves.
fn run(model: &Model, output: &str, mode: Mode) -> (Array, Leaves) {
    let forward = model.forward(mode, 3).unwrap();
    let mut leaves = fill(model);
    for (stream, input) in (1..).zip(&forward.inputs) {
        let dims = forward.graph.shape(input.value).dims().to_vec();
        let mut array = numbers(&dims, stream, -1.0, 2.0);
        if !forward.graph.type_of(input.value).dtype.is_float() {
            array.data.iter_mut().for_each(|x| *x = (x.abs() * 2.0).floor());
        }
        leaves.insert(input.name.clone(), array);
    }
    let at = forward.output_named(output).unwrap();
    (value(&forward.graph, &leaves, at), leaves)
}

/// Holds gradients in every parameter and f32 input against differences.
fn check(model: &Model, output: &str) {
    for mode in [Mode::Train, Mode::Evaluate] {
        let (_, leaves) = run(model, output, mode);
        let forward = model.forward(mode, 3).unwrap();
        let mut g = forward.graph.clone();
        let output = forward.output_named(output).unwrap();
        let square = g.square(output).unwrap();
        let loss = g.sum_all(square).unwrap();
        check_gradients(&g, loss, &leaves, "graph");
    }
}

const SIAMESE: &str = r#"{ "inputs": { "left": { "shape": [4] }, "right": { "shape": [4] } },
  "layers": [
    { "type": "dense", "name": "a", "inputs": "left", "out_features": 3 },
    { "type": "dense", "name": "b", "inputs": ["right"], "out_features": 3, "weights": "a" },
    { "type": "sum", "name": "gap", "inputs": ["a", "b"], "coefficients": [1, -1] },
    { "type": "multiply", "name": "square", "inputs": ["gap", "gap"] },
    { "type": "dense", "name": "fc", "out_features": 1 } ],
  "outputs": { "score": "fc", "code": "a" } }"#;

#[test]
fn two_inputs_share_their_weights() {
    let model = model(SIAMESE);
    let names: Vec<&str> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
    assert_eq!(names, ["a.weight", "a.bias", "fc.weight", "fc.bias"]);
    assert_eq!(model.inputs()[1].name, "right");
    assert_eq!(model.outputs()[0].name, "code");
    check(&model, "score");
    // Equal inputs have no gap: the score is the last bias.
    let forward = model.forward(Mode::Predict, 3).unwrap();
    let mut leaves = fill(&model);
    let same = numbers(&[3, 4], 1, -1.0, 1.0);
    leaves.insert("left".into(), same.clone());
    leaves.insert("right".into(), same);
    let bias = leaves["fc.bias"].data[0];
    let score = value(&forward.graph, &leaves, forward.output_named("score").unwrap());
    assert_eq!(score.data, [bias; 3]);
    let row = |name: &str| model.layers().iter().find(|row| row.name == name).unwrap().parameters;
    assert_eq!((row("a"), row("b")), (15, 0));
    let summary = model.summary(8);
    assert_eq!(summary.inputs["right"], [8, 4]);
    assert_eq!(summary.outputs["score"], [8, 1]);
    assert!(summary.to_string().contains("left"));
}

#[test]
fn sums_and_products_broadcast() {
    let gate = ModelBuilder::new([2, 3, 4])
        .layer(Mean { keepdim: true, ..Mean::new([2, 3]) }.named("squeeze"))
        .sigmoid("gate")
        .multiply(["input", "gate"], "scaled")
        .sum(["scaled", "input", "gate"], "out")
        .build()
        .unwrap();
    assert_eq!(gate.output_shape().dims(), [2, 3, 4]);
    check(&gate, "output");
    let inputs = [("picture", InputSpec::new([2, 3])), ("row", InputSpec::new([3]))];
    let low_rank = ModelBuilder::with_inputs(inputs).multiply(["picture", "row"], "y").build();
    let low_rank = low_rank.unwrap();
    let (out, leaves) = run(&low_rank, "output", Mode::Predict);
    let (picture, row) = (&leaves["picture"].data, &leaves["row"].data);
    // Sample 1, line 1, column 2.
    assert_eq!(out.data[6 + 3 + 2], picture[6 + 3 + 2] * row[3 + 2]);
}

#[test]
fn parts_are_taken_by_number() {
    let model = model(
        r#"{ "input": { "shape": [5, 2] }, "layers": [
             { "type": "split", "name": "s", "sizes": [2, 3] },
             { "type": "slice", "name": "tail", "inputs": "s.1", "start": 1 },
             { "type": "multiply", "name": "both", "inputs": ["s.0", "tail"] },
             { "type": "concat", "name": "all", "inputs": ["both", "s.1", "s.0"] } ] }"#,
    );
    assert_eq!(model.output_shape().dims(), [7, 2]);
    check(&model, "output");
    let (out, leaves) = run(&model, "output", Mode::Predict);
    let x = &leaves["input"].data;
    assert_eq!(out.data[0], x[0] * x[6]);
    assert_eq!(out.data[4..10], x[4..10]);
    assert_eq!(out.data[10..14], x[0..4]);
}

#[test]
fn a_head_is_tied_to_its_embedding() {
    let tied = ModelBuilder::indices([6])
        .embedding(5, 3, "tokens")
        .tanh("mix")
        .layer(Dense { bias: false, ..Dense::new(5) }.named("head"))
        .sharing("tokens")
        .build()
        .unwrap();
    assert_eq!(tied.parameters().len(), 1);
    check(&tied, "output");
    let inputs = [("mask", InputSpec { dtype: onestep_layers::InputType::U8, shape: vec![4] })];
    let small = ModelBuilder::with_inputs(inputs).embedding(3, 2, "e").build().unwrap();
    assert_eq!(small.index_limit_of("mask").unwrap().rows, 3);
}

#[test]
fn shared_statistics_go_on_from_one_use_to_the_next() {
    let twice = ModelBuilder::new([2])
        .layer(BatchNorm { momentum: Some(0.5), affine: false, ..BatchNorm::new() }.named("bn"))
        .layer(BatchNorm { momentum: Some(0.5), affine: false, ..BatchNorm::new() }.named("again"))
        .taking(["input"])
        .sharing("bn")
        .build()
        .unwrap();
    assert_eq!(twice.states().len(), 2);
    let forward = twice.forward(Mode::Train, 2).unwrap();
    assert_eq!(forward.state_updates.len(), 2);
    let mut leaves = fill(&twice);
    leaves.insert("input".into(), Array::new(Shape::from([2, 2]), vec![2., 6., 4., 8.]).unwrap());
    leaves.insert("bn.running_mean".into(), Array::new(Shape::from([2]), vec![0., 0.]).unwrap());
    let mean = forward.state_updates.iter().find(|u| u.name == "bn.running_mean").unwrap();
    // As PyTorch does where one module is called twice: half of the way, and half of the rest.
    assert_eq!(value(&forward.graph, &leaves, mean.value).data, [2.25, 5.25]);
}

#[test]
fn blocks_are_repeated_and_shared_as_a_whole() {
    let model = model(
        r#"{ "input": { "shape": [3] }, "layers": [
             { "type": "repeat", "name": "r", "times": 3, "body": [
               { "type": "residual", "name": "b", "body": [
                 { "type": "dense", "name": "fc", "out_features": 3 }, { "type": "tanh" },
                 { "type": "sum", "name": "skip", "inputs": ["fc", "input"] } ] } ] },
             { "type": "repeat", "name": "again", "times": 3, "weights": "r", "body": [
               { "type": "residual", "name": "b", "body": [
                 { "type": "dense", "name": "fc", "out_features": 3 }] } ] } ] }"#,
    );
    let names: Vec<&str> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
    assert_eq!(names.len(), 6);
    assert_eq!(names[..3], ["r.0.b.body.fc.weight", "r.0.b.body.fc.bias", "r.1.b.body.fc.weight"]);
    check(&model, "output");
}

#[test]
fn what_a_repeated_block_has_may_be_shared_within_it() {
    let block = ModelBuilder::new([3])
        .repeat(2, |b| b.dense(3, true, "x").tanh("t").dense(3, true, "y").sharing("x"), "r")
        .repeat(2, |b| b.dense(3, true, "x").tanh("t").dense(3, true, "y").sharing("x"), "s")
        .sharing("r")
        .build()
        .unwrap();
    let names: Vec<&str> = block.parameters().iter().map(|p| p.info.name.as_str()).collect();
    assert_eq!(names, ["r.0.x.weight", "r.0.x.bias", "r.1.x.weight", "r.1.x.bias"]);
    check(&block, "output");
}

#[test]
fn samples_may_have_another_length() {
    let text =
        ModelBuilder::indices([8]).embedding(5, 3, "e").dense(4, true, "fc").build().unwrap();
    let forward = text.forward_as(Mode::Train, 2, &[("input", &[11])]).unwrap();
    assert_eq!(forward.graph.shape(forward.output()).dims(), [2, 11, 4]);
    let fixed = ModelBuilder::new([8]).dense(4, true, "fc").build().unwrap();
    let error = fixed.forward_as(Mode::Train, 2, &[("input", &[9])]).unwrap_err().to_string();
    assert!(error.contains("samples with which `fc.weight` stays [8, 4], got [9, 4]"), "{error}");
}

fn refusal(layers: &str) -> String {
    let text = format!(
        r#"{{"inputs": {{"a": {{"shape": [4]}}, "b": {{"shape": [4]}}}}, "layers": {layers}}}"#
    );
    match ModelSpec::from_json(&text) {
        Ok(spec) => spec.compile().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn names_that_stand_for_nothing_are_refused() {
    for (layers, wanted) in [
        (
            r#"[{"type": "relu", "name": "r"}]"#,
            "r: expected `inputs` by name, since what comes before it gives 2 values",
        ),
        ("[]", "model: outputs must be named, got a last layer that gives 2 values"),
        (
            r#"[{"type": "relu", "name": "r", "inputs": ["c"]}]"#,
            "r: inputs must be the name of a layer or input before it (there are: a, b), got `c`",
        ),
        (
            r#"[{"type": "relu", "name": "r", "inputs": ["r"]}]"#,
            "got `r`, which does not come before it",
        ),
        (
            r#"[{"type": "relu", "name": "r", "inputs": ["s"]}, {"type": "relu", "name": "s"}]"#,
            "got `s`, which does not come before it",
        ),
        (r#"[{"type": "relu", "name": "r", "inputs": ["a", "b"]}]"#, "r: expected 1 input, got 2"),
        (r#"[{"type": "relu", "name": "r", "inputs": 3}]"#, "layer 1 `r`: inputs: "),
        (
            r#"[{"type": "dense", "name": "d", "inputs": ["a"], "out_features": 2, "weights": "a"}]"#,
            "d: weights must be the name of a layer before it",
        ),
        (
            r#"[{"type": "dense", "name": "d", "inputs": ["a"], "out_features": 2},
                {"type": "dense", "name": "e", "inputs": ["a"], "out_features": 3, "weights": "d"}]"#,
            "e: weights must be a layer whose weight is [4, 3], got `d`, whose is [4, 2]",
        ),
        (
            r#"[{"type": "relu", "name": "d", "inputs": ["a"]},
                {"type": "dense", "name": "e", "out_features": 3, "weights": "d"}]"#,
            "e: weights must be a layer with a parameter `weight`, got `d`, which has none",
        ),
        (
            r#"[{"type": "split", "name": "s", "inputs": ["a"], "sizes": [1, 3]}, {"type": "relu"}]"#,
            "relu1: expected `inputs` by name, since what comes before it gives 2 values",
        ),
        (
            r#"[{"type": "split", "name": "s", "inputs": ["a"], "sizes": [1, 3]},
                {"type": "relu", "inputs": ["s.2"]}]"#,
            "relu1: inputs must be one of the outputs `s.0` to `s.1`, got `s.2`",
        ),
        (
            r#"[{"type": "split", "name": "s", "inputs": ["a"], "sizes": [1, 2]}]"#,
            "s: sizes must be sizes of at least 1 that add up to 4, got [1, 2]",
        ),
        (
            r#"[{"type": "sum", "name": "s", "inputs": ["a", "b"], "coefficients": [1]}]"#,
            "s: coefficients must be one number an input (2), got 1",
        ),
        (
            r#"[{"type": "slice", "name": "s", "inputs": ["a"], "end": 3},
                {"type": "multiply", "name": "m", "inputs": ["s", "b"]}]"#,
            "m: expected inputs whose sizes agree or are 1",
        ),
        (r#"[{"type": "relu", "name": "a", "inputs": ["b"]}]"#, "`a`, which is an input too"),
        (
            r#"[{"type": "repeat", "inputs": ["a"], "times": 0, "body": []}]"#,
            "repeat1: times must be at least 1, got 0",
        ),
        (
            r#"[{"type": "repeat", "inputs": ["a"], "times": 70000, "body": [{"type": "relu"}]}]"#,
            "model: layers must be at most 65536 with repeated ones counted each time, got 70001",
        ),
        (
            r#"[{"type": "select", "name": "s", "inputs": ["a"], "index": 4}]"#,
            "s: index must be one of the 4 elements of axis 1, got 4",
        ),
        (
            r#"[{"type": "permute", "name": "p", "inputs": ["a"], "dims": [1, 0]}]"#,
            "p: dims must be each axis from 0 to 1 once, 0 first, got [1, 0]",
        ),
        (
            r#"[{"type": "mean", "name": "m", "inputs": ["a"], "dims": [1, -1]}]"#,
            "m: dims must be one or more different axes, got [1, -1]",
        ),
    ] {
        let error = refusal(layers);
        assert!(error.contains(wanted), "{layers}\n{error}");
    }
}

#[test]
fn inputs_and_outputs_are_checked() {
    let error = |text: &str| match ModelSpec::from_json(text) {
        Ok(spec) => spec.compile().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    for (text, wanted) in [
        (r#"{"layers": []}"#, "missing field `input`"),
        (r#"{"inputs": {}, "layers": []}"#, "model: inputs must be one or more by name, got none"),
        (
            r#"{"input": {"shape": [1]}, "inputs": {"a": {"shape": [1]}}, "layers": []}"#,
            "`input` and `inputs` are given",
        ),
        (r#"{"inputs": {"a.b": {"shape": [1]}}, "layers": []}"#, "`a.b` cannot name"),
        (r#"{"inputs": {"a": {"shape": [0]}}, "layers": []}"#, "a: shape must be one or more"),
        (
            r#"{"input": {"shape": [1]}, "layers": [], "outputs": {"y": "x"}}"#,
            "model: output `y` must be the name of a layer or input before it (there are: input), got",
        ),
        (
            r#"{"input": {"shape": [2]}, "layers": [{"type": "split", "name": "s", "sizes": [1, 1]}],
                "outputs": ["s"]}"#,
            "output `s` must be one of its values, such as `s.0`, got `s`, which gives 2",
        ),
        (
            r#"{"input": {"shape": [2]}, "layers": [{"type": "relu", "name": "r"}],
                "outputs": ["r", "r"]}"#,
            "outputs: `r` is given twice",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(wanted), "{text}\n{error}");
    }
    let parts = r#"{"input": {"shape": [2]}, "layers": [{"type": "split", "name": "s", "sizes": [1, 1]}],
        "outputs": {"first": "s.0", "raw": "input"}}"#;
    assert_eq!(model(parts).outputs().len(), 2);
}

#[test]
fn the_short_forms_mean_the_same() {
    let fluent =
        ModelBuilder::with_inputs([("a", InputSpec::new([4])), ("b", InputSpec::new([4]))])
            .layer(Concat::inputs().named("both"))
            .taking(["a", "b"])
            .layer(Multiply::default())
            .taking(["both", "both"])
            .output("y", "both")
            .spec();
    let read = spec(
        r#"{ "inputs": { "a": { "shape": [4] }, "b": { "shape": [4] } }, "layers": [
             { "type": "concat", "name": "both", "inputs": ["a", "b"] },
             { "type": "multiply", "inputs": ["both", "both"] } ], "outputs": { "y": "both" } }"#,
    );
    assert_eq!(fluent, read);
    let first = Many(|_: &mut onestep_layers::BuildContext, x: &[onestep_engine::Value]| {
        Ok::<_, LayerError>(vec![x[0], x[1]])
    });
    let own = ModelBuilder::with_inputs([("a", InputSpec::new([4])), ("b", InputSpec::new([2]))])
        .custom("pass", first)
        .taking(["a", "b"])
        .output("b", "pass.1")
        .build()
        .unwrap();
    assert_eq!(own.output_shape().dims(), [2]);
}
