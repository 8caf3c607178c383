//! What each layer makes of a shape, and what it refuses.

mod common;

use onestep_engine::Mode;
use onestep_layers::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm, Branch, Concat, ConstantValue, Conv2d, Dense, Dropout,
    Elu, Embedding, Flatten, Initializer, InputSpec, InputType, LayerNorm, LayerSpec, LeakyRelu,
    MaxPool2d, ModelBuilder, ModelSpec, Normal, Padding, Prelu, Relu, Reshape, Residual, Softmax,
    TruncatedNormal,
};

#[test]
fn each_layer_infers_its_shape_in_each_mode() {
    for (layer, input, output) in common::layers::all() {
        let model = common::model_for(&layer, input).unwrap();
        assert_eq!(model.output_shape().dims(), output, "{layer:?}");
        assert_eq!(model.layers()[0].output, output);
        assert_eq!(model.layers()[0].input, input);
        for mode in [Mode::Train, Mode::Evaluate, Mode::Predict] {
            let forward = model.forward(mode, 5).unwrap();
            let dims = forward.graph.shape(forward.output()).dims().to_vec();
            assert_eq!(dims, [&[5], output].concat(), "{layer:?}");
        }
    }
}

#[test]
fn every_layer_has_a_case() {
    let cases = common::layers::all();
    // Layers in containers count: some take more than the one input that cases have.
    let written: Vec<String> =
        cases.iter().map(|(layer, ..)| serde_json::to_string(layer).unwrap()).collect();
    for &name in LayerSpec::TYPES {
        let covered = written.iter().any(|case| case.contains(&format!("\"type\":\"{name}\"")));
        assert!(covered || name == "custom", "no case of {name}");
    }
}

/// The message of a model of one layer called `it`.
fn refusal(layer: impl Into<LayerSpec>, input: &[usize]) -> String {
    let layer = layer.into().named("it");
    common::model_for(&layer, input).unwrap_err().to_string()
}

#[test]
fn convolutions_refuse() {
    let conv = || Conv2d::new(4, 3);
    let with = |change: fn(&mut Conv2d)| {
        let mut layer = conv();
        change(&mut layer);
        refusal(layer, &[4, 8, 8])
    };
    assert_eq!(with(|c| c.in_channels = Some(3)), "it: expected 3 input channels, got 4");
    assert_eq!(
        refusal(conv(), &[8, 8]),
        "it: expected [channels, height, width] a sample, got [8, 8]"
    );
    assert_eq!(with(|c| c.stride = 0.into()), "it: stride must be between 1 and 16777216, got 0");
    assert!(with(|c| c.kernel_size = [3, 0].into()).starts_with("it: kernel_size must be between"));
    assert!(with(|c| c.dilation = 0.into()).starts_with("it: dilation must be"));
    assert!(with(|c| c.padding = usize::MAX.into()).starts_with("it: padding must be"));
    assert_eq!(with(|c| c.groups = 0), "it: groups must be at least 1, got 0");
    assert_eq!(with(|c| c.groups = 3), {
        "it: out_channels must be a multiple of 3 groups and at least 1, got 4"
    });
    assert!(with(|c| c.out_channels = 0).starts_with("it: out_channels must be"));
    assert_eq!(refusal(Conv2d { groups: 2, ..conv() }, &[3, 8, 8]), {
        "it: expected input channels divisible by 2 groups, got 3"
    });
    assert!(
        refusal(Conv2d { padding: Padding::Same, stride: 2.into(), ..conv() }, &[1, 4, 4])
            .starts_with("it: padding must be explicit where the stride is not 1")
    );
    assert_eq!(refusal(Conv2d { dilation: 2.into(), ..conv() }, &[1, 9, 4]), {
        "it: expected a picture, with its padding, of at least [5, 5], got [9, 4]"
    });
}

#[test]
fn pools_refuse() {
    let max = |change: fn(&mut MaxPool2d)| {
        let mut layer = MaxPool2d::new(2);
        change(&mut layer);
        refusal(layer, &[1, 4, 4])
    };
    assert!(max(|p| p.kernel_size = 5.into()).contains("of at least [5, 5], got [4, 4]"));
    // In `ceil_mode` a window needs to begin inside, no more.
    let ceil = max(|p| {
        (p.kernel_size, p.stride, p.ceil_mode) = (7.into(), Some(2.into()), true);
    });
    assert!(ceil.contains("of at least [6, 6], got [4, 4]"), "{ceil}");
    assert!(max(|p| p.stride = Some(0.into())).starts_with("it: stride must be"));
    assert!(max(|p| p.dilation = 0.into()).starts_with("it: dilation must be"));
    assert_eq!(max(|p| p.padding = 2.into()), {
        "it: padding must be at most half of the window's extent [2, 2], got 2"
    });
    assert!(refusal(AvgPool2d::new(1), &[1, 1 << 40, 1]).contains("of at most 16777216 elements"));
    assert!(refusal(AvgPool2d::new(2), &[4]).contains("expected [channels, height, width]"));
    assert!(refusal(AdaptiveAvgPool2d::new(0), &[1, 4, 4]).starts_with("it: output_size must be"));
    let vast = refusal(AdaptiveAvgPool2d::new(1 << 24), &[1, 5, 5]);
    assert!(vast.contains("windows of several sizes have at most 16777216"), "{vast}");
    assert!(refusal(AdaptiveAvgPool2d::new(1), &[4, 4]).contains("[channels, height, width]"));
}

#[test]
fn products_and_norms_refuse() {
    assert_eq!(
        refusal(Dense { in_features: Some(5), ..Dense::new(2) }, &[4]),
        "it: expected 5 input features, got 4"
    );
    assert_eq!(refusal(Dense::new(0), &[4]), "it: out_features must be at least 1, got 0");
    assert!(refusal(BatchNorm::new(), &[1, 1, 2, 3, 4]).contains("got [1, 1, 2, 3, 4]"));
    assert!(
        refusal(BatchNorm { momentum: Some(1.5), ..BatchNorm::new() }, &[4])
            .starts_with("it: momentum must be in [0, 1], got 1.5")
    );
    assert!(
        refusal(BatchNorm { eps: f32::NAN, ..BatchNorm::new() }, &[4])
            .starts_with("it: eps must be finite and at least 0, got NaN")
    );
    assert_eq!(
        refusal(LayerNorm::over([3]), &[2, 4]),
        "it: expected a sample whose last axes are [3], got [2, 4]"
    );
    assert!(refusal(LayerNorm::over([]), &[4]).starts_with("it: normalized_shape must be"));
    assert!(
        refusal(LayerNorm { eps: -1.0, ..LayerNorm::new() }, &[4]).starts_with("it: eps must be")
    );
}

#[test]
fn a_batch_of_one_has_no_statistics() {
    let model = ModelBuilder::new([3]).batch_norm("bn1").build().unwrap();
    let message = model.forward(Mode::Train, 1).unwrap_err().to_string();
    assert!(message.starts_with("bn1: expected more than one value a channel in training"));
    assert!(model.forward(Mode::Evaluate, 1).is_ok());
    assert!(ModelBuilder::new([3, 2]).batch_norm("bn1").build().is_ok());
}

#[test]
fn the_others_refuse() {
    assert_eq!(refusal(Dropout::new(1.5), &[4]), "it: p must be in [0, 1], got 1.5");
    assert!(refusal(Dropout::new(f32::NAN), &[4]).starts_with("it: p must be"));
    assert_eq!(
        refusal(Flatten::new(3), &[4, 2]),
        "it: start_dim must be between 1 and 2 for [2, 4, 2], got 3"
    );
    assert!(refusal(Flatten::new(0), &[4]).starts_with("it: start_dim must be"));
    for shape in [vec![5], vec![-1, -1], vec![-2, -3], vec![4, 0, -1], vec![i64::MAX, i64::MAX]] {
        let message = refusal(Reshape::new(shape), &[6]);
        assert!(message.starts_with("it: shape must be a shape of 6 elements"), "{message}");
    }
    assert_eq!(
        refusal(Prelu::new(3), &[4, 2]),
        "it: num_parameters must be 1 or the 4 channels of the input, got 3"
    );
    assert!(refusal(LeakyRelu::new(f32::INFINITY), &[4]).starts_with("it: negative_slope must be"));
    assert!(refusal(Elu::new(f32::NAN), &[4]).starts_with("it: alpha must be finite"));
    for dim in [0, 2, -2, -3, isize::MIN, isize::MAX] {
        let message = refusal(Softmax::new(dim), &[4]);
        assert!(message.starts_with("it: dim must be an axis of [2, 4] other than"), "{message}");
    }
    assert!(refusal(Embedding::new(0, 3), &[4]).starts_with("it: num_embeddings must be"));
}

#[test]
fn element_types_are_checked() {
    let floats = ModelSpec::new("m", [4], vec![Embedding::new(3, 2).into()]);
    assert!(floats.compile().unwrap_err().to_string().starts_with("embedding1: expected i32"));
    let input = InputSpec { shape: vec![4], dtype: InputType::I32 };
    for layer in [LayerSpec::from(Dense::new(2)), Relu::default().into()] {
        let layers = vec![layer.named("it")];
        let mut spec = ModelSpec::new("m", [4], layers);
        *spec.input_mut().unwrap() = input.clone();
        assert!(spec.compile().unwrap_err().to_string().starts_with("it: "));
    }
}

#[test]
fn containers_name_the_layer_inside() {
    let bad = Conv2d { in_channels: Some(3), ..Conv2d::new(4, 1) }.named("conv2");
    let residual = Residual::new([Relu::default().into(), bad.clone().into()]);
    assert_eq!(refusal(residual, &[4, 2, 2]), "it.body.conv2: expected 3 input channels, got 4");
    let concat = Concat::new([vec![], vec![bad.into()]]);
    assert_eq!(refusal(concat, &[4, 2, 2]), "it.branch1.conv2: expected 3 input channels, got 4");

    let residual = Residual::new([Conv2d::new(4, 1).into()]);
    let message = refusal(residual, &[3, 2, 2]);
    assert!(message.contains("[4, 2, 2] from the body and [3, 2, 2] from the shortcut"));
    let concat = Concat::new([vec![], vec![MaxPool2d::new(2).into()]]);
    let message = refusal(concat, &[3, 2, 2]);
    assert!(message.ends_with("[3, 2, 2] from branch0, got [3, 1, 1] from branch1"), "{message}");
    assert!(refusal(Concat::new([]), &[3]).starts_with("it: branches must be at least one list"));
    let batch = Concat::new([vec![]]).along(0);
    assert!(refusal(batch, &[3]).starts_with("it: dim must be an axis of [2, 3] other than"));
}

#[test]
fn names_are_checked() {
    let two = |a: &str, b: &str| {
        let layers = vec![Relu::default().named(a).into(), Relu::default().named(b).into()];
        ModelSpec::new("m", [4], layers).compile()
    };
    let same = two("a", "a").unwrap_err().to_string();
    assert_eq!(same, "model: two layers are named `a`; names must be unique among siblings");
    // The second default name of a type counts the first, named layer too.
    assert!(two("relu2", "").is_err());
    assert!(two("relu1", "").is_ok());
    assert!(two("a.b", "c").unwrap_err().to_string().contains("`a.b` cannot name a layer"));
    let empty = Relu { name: Some(String::new()) };
    assert!(ModelSpec::new("m", [4], vec![empty.into()]).compile().is_err());

    let body = |b: Branch| b.relu("x").relu("x");
    let message = ModelBuilder::new([4]).residual(body, |s| s, "r").build().unwrap_err();
    assert!(message.to_string().starts_with("r.body: two layers are named `x`"));
    // The same name on another level is another path.
    let model = ModelBuilder::new([4]).relu("x").residual(|b| b.relu("x"), |s| s, "r").build();
    assert!(model.is_ok());
}

#[test]
fn inputs_and_batches_are_checked() {
    for shape in [vec![], vec![3, 0]] {
        let message = ModelBuilder::new(shape).build().unwrap_err().to_string();
        assert!(message.starts_with("input: shape must be one or more sizes of at least 1"));
    }
    assert!(ModelBuilder::new([1; 6]).build().is_err(), "the batch would be a seventh axis");
    assert!(ModelBuilder::new([usize::MAX, 2]).build().is_err());
    // A model beyond any memory is counted without overflow; to refuse it is for the plan.
    let vast = ModelBuilder::new([1 << 30]).dense(1 << 32, true, "a").dense(1 << 31, true, "b");
    assert_eq!(vast.build().unwrap().summary(1).bytes, usize::MAX);
    let model = ModelBuilder::new([4]).relu("r").build().unwrap();
    let message = model.forward(Mode::Train, 0).unwrap_err().to_string();
    assert_eq!(message, "input: the batch size must be at least 1, got 0");
}

#[test]
fn initialisers_are_checked() {
    for (init, option) in [
        (Initializer::normal(0.0, -1.0), "std"),
        (Initializer::uniform(1.0, 0.0), "high"),
        (Initializer::Constant(ConstantValue { value: f32::NAN }), "value"),
        (Initializer::Normal(Normal { mean: f32::INFINITY, std: 1.0 }), "mean"),
        (Initializer::TruncatedNormal(TruncatedNormal { mean: 9.0, ..Default::default() }), "mean"),
    ] {
        let message = refusal(Dense { weight_init: init, ..Dense::new(2) }, &[4]);
        let begin = format!("it: weight's initialiser: {option} must be");
        assert!(message.starts_with(&begin), "{message}");
    }
}

#[test]
fn a_custom_layer_must_keep_the_batch() {
    let model = ModelBuilder::new([4]).custom("sum", |cx: &mut onestep_layers::BuildContext, x| {
        Ok(cx.graph.sum(x, &[0], false)?)
    });
    let message = model.build().unwrap_err().to_string();
    assert_eq!(message, "sum: expected an output whose first axis is the batch of 2, got [4]");
}
