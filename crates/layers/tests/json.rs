//! Specs in JSON: round trips, defaults, and what is refused.

mod common;

use onestep_layers::{
    BatchNorm, Conv2d, Custom, CustomLoss, Dense, GeluForm, Initializer, Kaiming, LayerError,
    LayerSpec, LossSpec, ModelBuilder, ModelSpec, Nonlinearity, Padding, Pair, Registry,
    TruncatedNormal, Xavier,
};

fn round_trip(spec: &ModelSpec) {
    let text = spec.to_json().unwrap();
    assert_eq!(&ModelSpec::from_json(&text).unwrap(), spec, "{text}");
}

#[test]
fn every_layer_survives() {
    for (layer, input, _) in common::layers::all() {
        round_trip(&ModelSpec::new("m", input, vec![layer.clone()]));
        round_trip(&ModelSpec::new("m", input, vec![layer.named("it")]));
    }
}

#[test]
fn every_initialiser_survives() {
    let kaiming = Kaiming { nonlinearity: Nonlinearity::Relu, ..Kaiming::default() };
    let inits = [
        Initializer::Default,
        Initializer::Zeros,
        Initializer::Ones,
        Initializer::constant(0.5),
        Initializer::uniform(-1.0, 1.0),
        Initializer::normal(0.0, 0.02),
        Initializer::TruncatedNormal(TruncatedNormal::default()),
        Initializer::KaimingUniform(kaiming),
        Initializer::KaimingNormal(kaiming),
        Initializer::XavierUniform(Xavier { gain: 2.0 }),
        Initializer::XavierNormal(Xavier::default()),
    ];
    assert_eq!(inits.len(), Initializer::NAMES.len());
    for init in inits {
        let layer = Dense { weight_init: init, bias_init: init, ..Dense::new(2) };
        round_trip(&ModelSpec::new("m", [3], vec![layer.into()]));
        let text = serde_json::to_string(&init).unwrap();
        assert!(Initializer::NAMES.iter().any(|name| text.contains(name)), "{text}");
    }
}

#[test]
fn initialisers_have_short_forms() {
    let read = |text: &str| serde_json::from_str::<Initializer>(text);
    let xavier = Initializer::XavierUniform(Xavier::default());
    assert_eq!(read("\"xavier_uniform\"").unwrap(), xavier);
    assert_eq!(read("{\"xavier_uniform\": {}}").unwrap(), xavier);
    let message = read("\"orthogonal\"").unwrap_err().to_string();
    assert!(message.contains("unknown initialiser `orthogonal`; known: default, zeros"));
    assert!(read("{\"normal\": {\"sigma\": 1}}").unwrap_err().to_string().contains("`sigma`"));
    assert!(read("\"constant\"").unwrap_err().to_string().contains("missing field `value`"));
    assert!(read("3").is_err());
}

fn layer(text: &str) -> Result<LayerSpec, serde_json::Error> {
    serde_json::from_str(text)
}

#[test]
fn options_have_pytorchs_defaults() {
    let conv = layer(r#"{"type": "conv2d", "out_channels": 8, "kernel_size": 3}"#).unwrap();
    assert_eq!(conv, Conv2d::new(8, 3).into());
    assert_eq!(layer(r#"{"type": "batch_norm"}"#).unwrap(), BatchNorm::new().into());
    let LayerSpec::Gelu(gelu) = layer(r#"{"type": "gelu", "approximate": "tanh"}"#).unwrap() else {
        panic!("not a gelu");
    };
    assert_eq!(gelu.approximate, GeluForm::Tanh);
    let LayerSpec::Prelu(prelu) = layer(r#"{"type": "prelu"}"#).unwrap() else {
        panic!("not a prelu");
    };
    assert_eq!((prelu.num_parameters, prelu.init), (1, 0.25));
}

#[test]
fn sizes_are_integers_or_pairs() {
    let with = |padding: &str| {
        let text = format!(
            r#"{{"type": "conv2d", "out_channels": 1, "kernel_size": [3, 5], "padding": {padding}}}"#
        );
        layer(&text)
    };
    let padding = |text: &str| match with(text).unwrap() {
        LayerSpec::Conv2d(conv) => (conv.kernel_size, conv.padding),
        _ => panic!("not a convolution"),
    };
    let kernel = Pair { height: 3, width: 5 };
    assert_eq!(padding("2"), (kernel, Padding::Explicit(2.into())));
    assert_eq!(padding("[1, 2]"), (kernel, Padding::Explicit([1, 2].into())));
    assert_eq!(padding("\"same\""), (kernel, Padding::Same));
    assert_eq!(padding("\"valid\""), (kernel, Padding::Valid));
    for bad in ["-1", "[1]", "[1, 2, 3]", "1.5", "\"full\"", "null"] {
        let message = with(bad).unwrap_err().to_string();
        assert!(message.contains("expected padding: an integer"), "{message}");
    }
}

#[test]
fn mistakes_are_named() {
    let read = |layers: &str| {
        let text = format!(r#"{{"input": {{"shape": [3]}}, "layers": {layers}}}"#);
        ModelSpec::from_json(&text).unwrap_err().to_string()
    };
    let message = read(r#"[{"type": "relu"}, {"type": "convolve", "name": "c1"}]"#);
    assert!(message.contains("layer 2 `c1`: unknown layer type `convolve`"), "{message}");
    assert!(message.contains("known types: dense, conv2d, max_pool2d"), "{message}");

    let message = read(r#"[{"type": "dense", "name": "fc", "out": 3}]"#);
    assert!(message.contains("layer 1 `fc` (dense): unknown field `out`"), "{message}");
    assert!(message.contains("`out_features`"), "{message}");
    let message = read(r#"[{"type": "relu", "inplace": true}]"#);
    assert!(message.contains("layer 1 (relu): unknown field `inplace`"), "{message}");
    let message = read(r#"[{"type": "dense"}]"#);
    assert!(message.contains("missing field `out_features`"), "{message}");
    assert!(read(r#"[{"out_features": 3}]"#).contains("the field \"type\" is missing"));
    assert!(read(r#"[{"type": 3}]"#).contains("\"type\" must be a string, got 3"));
    assert!(read(r#"["relu"]"#).contains("expected an object with a \"type\""));

    let message =
        read(r#"[{"type": "residual", "name": "r", "body": [{"type": "relu"}, {"type": "no"}]}]"#);
    assert!(message.contains("layer 1 `r` (residual): layer 2: unknown layer type `no`"));
    let message = read(r#"[{"type": "concat", "branches": [[], [{"type": "no"}]]}]"#);
    assert!(message.contains("branch 1: layer 1: unknown layer type `no`"), "{message}");
}

#[test]
fn a_spec_is_checked_as_a_whole() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"layers": []}"#,
        r#"{"input": {"shape": [3]}}"#,
        r#"{"input": {"shape": [-3]}, "layers": []}"#,
        r#"{"input": {"shape": [3], "dtype": "f64"}, "layers": []}"#,
        r#"{"input": {"shape": [3]}, "layers": [], "optimizer": "sgd"}"#,
    ] {
        let error = ModelSpec::from_json(text).unwrap_err();
        assert!(matches!(error, LayerError::Json { what: "model spec", .. }), "{text}");
    }
}

#[test]
fn custom_layers_are_written_by_name_only() {
    let square = |cx: &mut onestep_layers::BuildContext, x| Ok(cx.graph.square(x)?);
    let spec = ModelBuilder::new([3]).custom("sq", square).spec();
    let message = spec.to_json().unwrap_err().to_string();
    assert!(message.contains("the custom layer `sq` is code without a registered name"));

    let custom = Custom::registered("square", Default::default()).named("sq");
    let spec = ModelSpec::new("m", [3], vec![custom.into()]);
    round_trip(&spec);
    let message = spec.compile().unwrap_err().to_string();
    assert!(message.starts_with("sq: no custom layer `square` is registered (registered: none)"));
    let registry = Registry::new().layer("cube", move |_| Ok(square));
    let message = spec.clone().resolve(&registry).unwrap_err().to_string();
    assert!(message.contains("(registered: cube)"), "{message}");
    let registry = registry.layer("square", move |_| Ok(square));
    let model = spec.resolve(&registry).unwrap().compile().unwrap();
    assert_eq!(model.layers()[0].kind, "square");
    // Code that came from a registry still has its name.
    round_trip_text(model.spec());
}

fn round_trip_text(spec: &ModelSpec) {
    let text = spec.to_json().unwrap();
    assert_eq!(ModelSpec::from_json(&text).unwrap().to_json().unwrap(), text);
}

#[test]
fn nested_custom_layers_are_found() {
    let text = r#"{"input": {"shape": [3]}, "layers": [
        {"type": "residual", "name": "r", "body": [
            {"type": "concat", "branches": [[{"type": "custom", "layer": "id"}]]}]}]}"#;
    let spec = ModelSpec::from_json(text).unwrap();
    let message = spec.clone().resolve(&Registry::new()).unwrap_err().to_string();
    assert!(message.starts_with("r.body.layer 1.branch0.layer 1: no custom layer `id`"));
    let identity = |_: &mut onestep_layers::BuildContext, x| Ok(x);
    let registry = Registry::new().layer("id", move |_| Ok(identity));
    assert!(spec.resolve(&registry).unwrap().compile().is_ok());
    let refusing = Registry::new()
        .layer("id", |_| Err::<Custom, _>("`n` is missing".to_owned()))
        .loss("l", |_| Err::<CustomLoss, _>("`n` is missing".to_owned()));
    let message = ModelSpec::from_json(text).unwrap().resolve(&refusing).unwrap_err().to_string();
    assert!(message.ends_with("options must be those of the custom `id`, got `n` is missing"));
    let loss: LossSpec = r#"{"type": "custom", "loss": "l"}"#.parse().unwrap();
    assert!(loss.resolve(&refusing).is_err());
}
