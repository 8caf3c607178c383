//! Descriptions of optimizers: JSON, names and ranges.

use onestep_base::Registered;
use onestep_optimizer::{
    Adafactor, Adagrad, Adam, AdamW, Lamb, Lars, Lion, Muon, Optimizer, OptimizerError,
    OptimizerSpec, Prodigy, RmsProp, ScheduleFree, ScheduleSpec, Sgd, SparseAdam,
};
use serde_json::json;

#[test]
fn json_has_a_type_and_pytorchs_defaults() {
    let cases = [
        (
            json!({ "type": "sgd", "lr": 0.001, "momentum": 0.0, "dampening": 0.0,
                    "nesterov": false, "weight_decay": 0.0 }),
            OptimizerSpec::Sgd(Sgd::default()),
        ),
        (
            json!({ "type": "adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8,
                    "weight_decay": 0.0, "amsgrad": false }),
            OptimizerSpec::Adam(Adam::default()),
        ),
        (
            json!({ "type": "adamw", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8,
                    "weight_decay": 0.01, "amsgrad": false }),
            OptimizerSpec::AdamW(AdamW::default()),
        ),
        (
            json!({ "type": "sparse_adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8,
                    "weight_decay": 0.0 }),
            SparseAdam::default().into(),
        ),
        (
            json!({ "type": "rmsprop", "lr": 0.01, "alpha": 0.99, "eps": 1e-8,
                    "weight_decay": 0.0, "momentum": 0.0, "centered": false }),
            OptimizerSpec::RmsProp(RmsProp::default()),
        ),
        (
            json!({ "type": "adagrad", "lr": 0.01, "lr_decay": 0.0, "weight_decay": 0.0,
                    "initial_accumulator_value": 0.0, "eps": 1e-10 }),
            OptimizerSpec::Adagrad(Adagrad::default()),
        ),
        (
            json!({ "type": "lamb", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-6,
                    "weight_decay": 0.0 }),
            Lamb::default().into(),
        ),
        (
            json!({ "type": "lars", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0,
                    "trust_coefficient": 0.001, "eps": 0.0, "nesterov": false }),
            Lars::default().into(),
        ),
        (
            json!({ "type": "lion", "lr": 1e-4, "betas": [0.9, 0.99], "weight_decay": 1e-3 }),
            Lion::default().into(),
        ),
        (
            json!({ "type": "muon", "lr": 0.001, "weight_decay": 0.1, "momentum": 0.95,
                    "nesterov": true, "ns_coefficients": [3.4445, -4.775, 2.0315], "eps": 1e-7,
                    "ns_steps": 5, "adjust_lr": "original", "bf16": false,
                    "adamw": { "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8,
                               "weight_decay": 0.01, "amsgrad": false } }),
            Muon::default().into(),
        ),
        (
            json!({ "type": "adafactor", "lr": 0.01, "beta2_decay": -0.8, "eps": [null, 1e-3],
                    "d": 1.0, "weight_decay": 0.0 }),
            Adafactor::default().into(),
        ),
        (
            json!({ "type": "schedule_free", "lr": 2.5e-3, "betas": [0.9, 0.999], "eps": 1e-8,
                    "weight_decay": 0.0, "warmup_steps": 0, "r": 0.0, "weight_lr_power": 2.0 }),
            ScheduleFree::default().into(),
        ),
        (
            json!({ "type": "prodigy", "lr": 1.0, "betas": [0.9, 0.999], "eps": 1e-8,
                    "weight_decay": 0.0, "use_bias_correction": false,
                    "safeguard_warmup": false, "d0": 1e-6, "d_coef": 1.0 }),
            Prodigy::default().into(),
        ),
    ];
    // All but the custom one.
    assert_eq!(cases.len() + 1, OptimizerSpec::TYPES.len());
    for ((full, spec), &name) in cases.into_iter().zip(OptimizerSpec::TYPES) {
        assert_eq!(serde_json::to_value(&spec).unwrap(), full);
        for json in [full, json!({ "type": name }), json!(name)] {
            assert_eq!(serde_json::from_value::<OptimizerSpec>(json).unwrap(), spec);
        }
        assert_eq!(name.parse::<OptimizerSpec>().unwrap(), spec);
        assert_eq!(spec.to_string(), name);
    }
}

#[test]
fn what_is_unknown_is_refused() {
    let error = |json| serde_json::from_value::<OptimizerSpec>(json).unwrap_err().to_string();
    let field = error(json!({ "type": "sgd", "beta": 0.9 }));
    assert!(field.contains("`beta`") && field.contains("`momentum`"), "{field}");
    let name = error(json!({ "type": "sdg" }));
    assert!(name.contains("`sdg`") && name.contains("sgd, adam"), "{name}");
    let name = error(json!("adamx"));
    assert_eq!(
        name,
        format!("unknown optimizer `adamx`; known optimizers: {}", OptimizerSpec::help())
    );
    let number = error(json!(3));
    assert!(number.contains("expected an object with a \"type\", got 3"), "{number}");
    let missing = error(json!({ "lr": 0.1 }));
    assert!(missing.contains("type"), "{missing}");
}

#[test]
fn options_out_of_their_range_are_named() {
    let message = |json| {
        let spec: OptimizerSpec = serde_json::from_value(json).unwrap();
        Optimizer::from_spec(spec).unwrap_err().to_string()
    };
    for (json, wanted) in [
        (
            json!({ "type": "sgd", "lr": -0.1 }),
            "sgd: `lr` must be finite and not negative, got -0.1",
        ),
        (
            json!({ "type": "adam", "betas": [0.9, 1.0] }),
            "adam: `betas[1]` must be at least 0 and below 1, got 1",
        ),
        (
            json!({ "type": "adamw", "betas": [-0.1, 0.9] }),
            "adamw: `betas[0]` must be at least 0 and below 1, got -0.1",
        ),
        (
            json!({ "type": "sgd", "nesterov": true }),
            "sgd: `nesterov` must be false unless momentum is above 0 and dampening is 0, \
             got true with momentum 0 and dampening 0",
        ),
        (
            json!({ "type": "rmsprop", "alpha": 1.5 }),
            "rmsprop: `alpha` must be between 0 and 1, got 1.5",
        ),
        (
            json!({ "type": "adagrad", "lr_decay": -1.0 }),
            "adagrad: `lr_decay` must be finite and not negative, got -1",
        ),
    ] {
        assert_eq!(message(json), wanted);
    }
    let infinite = OptimizerSpec::default().with_lr(f64::INFINITY).validate().unwrap_err();
    assert!(matches!(infinite, OptimizerError::Option { field: "lr", .. }));
    let nan = OptimizerSpec::default().with_weight_decay(f64::NAN).validate().unwrap_err();
    assert!(matches!(nan, OptimizerError::Option { field: "weight_decay", .. }));
}

#[test]
fn the_schema_takes_a_name_or_an_object() {
    let schema = schemars::schema_for!(OptimizerSpec).to_value();
    assert_eq!(schema["title"], "OptimizerSpec");
    let forms = schema["anyOf"].as_array().unwrap();
    assert_eq!(forms[0]["enum"].as_array().unwrap().len(), OptimizerSpec::TYPES.len() - 1);
    assert_eq!(forms[1]["oneOf"].as_array().unwrap().len(), OptimizerSpec::TYPES.len());
}

#[test]
fn a_wrong_option_is_named_and_no_key_stands_twice() {
    let optimizer =
        |text: &str| serde_json::from_str::<OptimizerSpec>(text).unwrap_err().to_string();
    let schedule = |text: &str| serde_json::from_str::<ScheduleSpec>(text).unwrap_err().to_string();
    for (error, wanted) in [
        (
            optimizer(r#"{"type": "sgd", "lr": "fast"}"#),
            "optimizer `sgd`: lr: invalid type: string \"fast\", expected f64",
        ),
        (
            optimizer(r#"{"type": "adam", "betas": [0.9, true]}"#),
            "optimizer `adam`: betas[1]: invalid type",
        ),
        (optimizer(r#"{"type": "adam", "beta": 1}"#), "optimizer `adam`: unknown field `beta`"),
        (optimizer(r#"{"type": "sgd", "lr": 1, "lr": 2}"#), "the key `lr` is given twice"),
        (optimizer(r#"{"type": "sgd", "type": "adam"}"#), "the key `type` is given twice"),
        (optimizer(r#"{"lr": 1}"#), "optimizer: the field \"type\" is missing"),
        (optimizer(r#"{"type": 3}"#), "optimizer: \"type\" must be a string, got 3"),
        (
            schedule(r#"{"type": "linear_warmup", "then": {"type": "step", "step_size": -1}}"#),
            "schedule `linear_warmup`: then: schedule `step`: step_size: invalid value: integer `-1`",
        ),
        (schedule(r#"{"type": "constant", "x": 1}"#), "schedule `constant`: unknown field `x`"),
        (
            schedule(r#"{"type": "stairs"}"#),
            "unknown schedule `stairs`; known schedules: constant, step",
        ),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}
