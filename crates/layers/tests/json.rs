//! Specs in JSON: round trips, defaults, and what is refused.

mod common;

use onestep_layers::{
    BatchNorm, Concat, Conv2d, Custom, CustomLoss, Dense, GeluForm, Initializer, Kaiming,
    LayerError, LayerSpec, LossSpec, ModelBuilder, ModelSpec, Nonlinearity, Padding, Pair,
    Registry, Residual, TruncatedNormal, Xavier,
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
    assert!(
        message.contains("unknown initialiser `orthogonal`; known initialisers: default, zeros")
    );
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
    assert!(message.contains("known types: dense, conv2d, conv_transpose2d"), "{message}");

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

/// A wrong option is named with its layer, its own name, what was got and what was wanted, wherever it
/// stands; no line and column of the end of the whole.
#[test]
fn a_wrong_option_is_named_with_its_place() {
    let read = |layer: &str| {
        let text =
            format!(r#"{{"input": {{"shape": [3]}}, "layers": [{{"type": "relu"}}, {layer}]}}"#);
        ModelSpec::from_json(&text).unwrap_err().to_string()
    };
    for (layer, wanted) in [
        (
            r#"{"type": "conv2d", "name": "c1", "out_channels": "same", "kernel_size": 3}"#,
            "layer 2 `c1` (conv2d): out_channels: invalid type: string \"same\", expected usize",
        ),
        (
            r#"{"type": "conv2d", "out_channels": 1, "kernel_size": "big"}"#,
            "layer 2 (conv2d): kernel_size: expected a size: an integer or [height, width]; got \"big\"",
        ),
        (
            r#"{"type": "layer_norm", "normalized_shape": [1, -2]}"#,
            "layer 2 (layer_norm): normalized_shape[1]: invalid value: integer `-2`",
        ),
        (
            r#"{"type": "residual", "name": "r", "body": [{"type": "dropout", "p": true}]}"#,
            "layer 2 `r` (residual): layer 1 (dropout): p: invalid type: boolean `true`, expected f32",
        ),
        (
            r#"{"type": "dense", "out_features": 2, "weight_init": {"normal": {"std": "x"}}}"#,
            "layer 2 (dense): weight_init: initialiser `normal`: std: invalid type: string",
        ),
        (r#"{"type": "gelu", "approximate": "erf"}"#, "approximate: unknown variant `erf`"),
    ] {
        let message = read(layer);
        assert!(message.contains(wanted), "{message}");
        assert!(!message.contains("line"), "{message}");
    }
    let error = r#"{"type": "huber", "delta": "x"}"#.parse::<LossSpec>().unwrap_err().to_string();
    assert!(error.contains("loss `huber`: delta: invalid type: string \"x\""), "{error}");
    let error = ModelSpec::from_json(r#"{"input": {"shape": "3"}, "layers": []}"#).unwrap_err();
    assert!(error.to_string().contains("input.shape: invalid type: string"), "{error}");
}

#[test]
fn keys_that_stand_twice_and_options_of_nothing_are_refused() {
    for text in [
        r#"{"input": {"shape": [3]}, "input": {"shape": [4]}, "layers": []}"#,
        r#"{"input": {"shape": [3], "shape": [4]}, "layers": []}"#,
        r#"{"input": {"shape": [3]}, "layers": [{"type": "relu", "type": "tanh"}]}"#,
        r#"{"input": {"shape": [3]}, "layers": [{"type": "dropout", "p": 0.1, "p": 0.9}]}"#,
        r#"{"input": {"shape": [3]}, "layers": [{"type": "custom", "layer": "l",
            "options": {"a": {"b": 1, "b": 2}}}]}"#,
    ] {
        let error = ModelSpec::from_json(text).unwrap_err().to_string();
        assert!(error.contains("is given twice at line"), "{error}");
    }
    let twice = r#"{"type": "huber", "delta": 1, "delta": 2}"#;
    for error in [
        twice.parse::<LossSpec>().unwrap_err().to_string(),
        serde_json::from_str::<LossSpec>(twice).unwrap_err().to_string(),
        layer(r#"{"type": "dropout", "p": 0.1, "p": 0.9}"#).unwrap_err().to_string(),
        serde_json::from_str::<Initializer>(r#"{"normal": {"std": 1, "std": 2}}"#)
            .unwrap_err()
            .to_string(),
    ] {
        assert!(error.contains("is given twice"), "{error}");
    }
    for name in ["zeros", "ones", "default"] {
        let read = |options: &str| {
            serde_json::from_str::<Initializer>(&format!("{{\"{name}\": {options}}}"))
        };
        assert!(read("{}").is_ok());
        for options in ["{\"x\": 1}", "3", "null"] {
            let error = read(options).unwrap_err().to_string();
            assert!(error.contains(&format!("initialiser `{name}`")), "{error}");
        }
    }
}

/// The same limit whether a model is written, read or compiled, and no overflow of a test's small stack.
#[test]
fn models_nested_too_deep_are_refused() {
    let nested = |depth: usize, concat: bool| {
        let inner = vec![Dense::new(3).into()];
        let layers = (0..depth).fold(inner, |layers: Vec<LayerSpec>, _| match concat {
            true => vec![Concat::new([layers, vec![]]).into()],
            false => vec![Residual::new(vec![]).with_shortcut(layers).into()],
        });
        ModelSpec::new("m", [3], layers)
    };
    for concat in [false, true] {
        round_trip(&nested(32, concat));
        for depth in [33, 63, 10_000] {
            let spec = nested(depth, concat).clone();
            for error in [spec.compile().unwrap_err(), spec.to_json().unwrap_err()] {
                let error = error.to_string();
                assert!(
                    error.contains("at most 32 residual, concat, repeat and block layers"),
                    "{error}"
                );
            }
            assert!(serde_json::to_string(&spec).is_err());
            let error = spec.resolve(&Registry::new()).unwrap_err().to_string();
            assert!(
                error.contains("at most 32 residual, concat, repeat and block layers"),
                "{error}"
            );
        }
    }
    nested(32, false).compile().unwrap();
    let text = format!(
        r#"{{"input": {{"shape": [3]}}, "layers": {}{}}}"#,
        r#"[{"type": "residual", "body": "#.repeat(33) + "[]",
        "}]".repeat(33)
    );
    let error = ModelSpec::from_json(&text).unwrap_err().to_string();
    assert!(error.contains("at most 32 residual, concat, repeat and block layers"), "{error}");
}

#[test]
fn names_have_a_longest_length() {
    let compile = |name: &str, layer: &str| {
        let layers = vec![Dense::new(3).named(layer).into()];
        ModelSpec::new(name, [3], layers).compile()
    };
    let long = "x".repeat(65_536);
    assert!(compile("m", &long[..255]).is_ok());
    for error in [compile("m", &long).unwrap_err(), compile(&long, "fc").unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("name must be at most 255 characters, got 65536"), "{error}");
        assert!(error.len() < 200, "{error}");
    }
}
