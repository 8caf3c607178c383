//! Losses: reading, values, refusals, and the accuracy beside them.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{DType, Graph, Shape};
use onestep_layers::{
    BceWithLogits, ClassTargets, CrossEntropy, CustomLoss, Focal, Huber, LayerError, LossSpec,
    LossValues, Mse, MultiMargin, Nll, Reduction, Registry, SmoothL1, accuracy,
};

fn array(shape: &[usize], data: &[f64]) -> Array {
    Array::new(Shape::new(shape).unwrap(), data.to_vec()).unwrap()
}

/// Loss and prediction of an output and a target.
fn values(loss: &LossSpec, output: Array, target: Array) -> (f64, Vec<f64>) {
    let mut g = Graph::new();
    let x = g.input("output", output.shape.dims(), DType::F32).unwrap();
    let built = loss.build(&mut g, x).unwrap();
    let leaves = [("output".to_owned(), output), ("target".to_owned(), target)].into();
    let loss = common::value(&g, &leaves, built.loss).data[0];
    (loss, common::value(&g, &leaves, built.prediction).data)
}

fn refusal(loss: impl Into<LossSpec>, dims: &[usize]) -> String {
    let mut g = Graph::new();
    let x = g.input("output", dims, DType::F32).unwrap();
    loss.into().build(&mut g, x).unwrap_err().to_string()
}

#[test]
fn names_objects_and_text_are_read() {
    let json = |text: &str| serde_json::from_str::<LossSpec>(text).unwrap();
    for &name in LossSpec::TYPES.iter().filter(|name| !["custom", "formula"].contains(name)) {
        let loss: LossSpec = name.parse().unwrap();
        assert_eq!(loss.to_string(), name);
        assert_eq!(json(&format!("\"{name}\"")), loss);
        assert_eq!(json(&serde_json::to_string(&loss).unwrap()), loss);
    }
    let full = CrossEntropy {
        label_smoothing: 0.5,
        weight: Some(vec![1.0, 2.0]),
        reduction: Reduction::Sum,
        ignore_index: Some(-1),
        target: ClassTargets::Labels,
    };
    let text = serde_json::to_string(&LossSpec::from(full.clone())).unwrap();
    assert_eq!(text.parse::<LossSpec>().unwrap(), full.into());
}

#[test]
fn mistakes_are_named() {
    let message = |text: &str| text.parse::<LossSpec>().unwrap_err().to_string();
    assert!(message("l2").contains("unknown loss `l2`; known losses: cross_entropy, bce_with"));
    assert!(message(r#"{"type": "huber", "beta": 1}"#).contains("unknown field `beta`"));
    assert!(message("{").starts_with("loss: "));
    assert!(message("custom").contains("missing field `loss`"));
}

#[test]
fn options_and_outputs_are_checked() {
    assert_eq!(refusal(Huber::new(0.0), &[2, 2]), "huber: delta must be finite and above 0, got 0");
    assert!(refusal(SmoothL1::new(-1.0), &[2]).starts_with("smooth_l1: beta must be"));
    let bce = |weight: Vec<f32>| BceWithLogits { pos_weight: Some(weight), ..Default::default() };
    assert!(refusal(bce(vec![1.0; 3]), &[2, 2]).contains("1 number or one for each of 2 outputs"));
    assert!(refusal(bce(vec![-1.0]), &[2, 2]).contains("finite and at least 0, got -1"));
    let weighted = CrossEntropy { weight: Some(vec![1.0; 3]), ..Default::default() };
    assert_eq!(
        refusal(weighted, &[2, 2]),
        "cross_entropy: weight must be one number for each of 2 classes, got 3"
    );
    let smooth = CrossEntropy { label_smoothing: 1.5, ..Default::default() };
    assert!(refusal(smooth, &[2, 2]).starts_with("cross_entropy: label_smoothing must be"));
    assert!(refusal(CrossEntropy::default(), &[4]).contains("expected logits of [batch, classes]"));
    let mut g = Graph::new();
    let labels = g.input("output", &[2, 3], DType::I32).unwrap();
    let message = LossSpec::default().build(&mut g, labels).unwrap_err().to_string();
    assert!(message.starts_with("cross_entropy: "), "{message}");
}

#[test]
fn labels_out_of_range_cannot_go_unseen() {
    for weight in [None, Some(vec![1.0, 2.0, 3.0])] {
        let loss = CrossEntropy { weight, ..Default::default() }.into();
        for label in [-1.0, 3.0] {
            let output = common::numbers(&[2, 3], 1, -1.0, 1.0);
            let (loss, _) = values(&loss, output, array(&[2], &[1.0, label]));
            assert!(loss.is_nan(), "{loss}");
        }
    }
}

#[test]
fn predictions_speak_the_targets_language() {
    let logits = array(&[2, 3], &[0.0, 2.0, 1.0, 3.0, -1.0, 0.0]);
    let (_, classes) = values(&LossSpec::default(), logits.clone(), array(&[2], &[0.0, 0.0]));
    assert_eq!(classes, [1.0, 0.0]);
    let zeros = array(&[2, 3], &[0.0; 6]);
    let (loss, same) = values(&Mse::default().into(), logits.clone(), zeros.clone());
    assert_eq!(same, logits.data);
    assert!((loss - 15.0 / 6.0).abs() < 1e-6, "{loss}");
    let (_, chance) = values(&BceWithLogits::default().into(), logits, zeros);
    assert_eq!(chance[0], 0.5);
}

#[test]
fn accuracy_counts_right_answers() {
    let share = |output: Array, target: Array, dtype| {
        let mut g = Graph::new();
        let x = g.input("output", output.shape.dims(), DType::F32).unwrap();
        let t = g.input("target", target.shape.dims(), dtype).unwrap();
        let report = accuracy(&mut g, x, t)?;
        assert_eq!(g.shape(report).rank(), 0);
        let leaves = [("output".to_owned(), output), ("target".to_owned(), target)].into();
        Ok::<f64, LayerError>(common::value(&g, &leaves, report).data[0])
    };
    let logits = array(&[4, 2], &[0.0, 1.0, 1.0, 0.0, 3.0, 2.0, 2.0, 3.0]);
    let labels = array(&[4], &[1.0, 0.0, 1.0, 1.0]);
    assert_eq!(share(logits.clone(), labels, DType::I32).unwrap(), 0.75);
    let binary = array(&[4, 2], &[0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(share(logits.clone(), binary, DType::F32).unwrap(), 0.5);
    let pixels = array(&[1, 2, 2], &[0.0, 1.0, 1.0, 0.0]);
    assert_eq!(share(pixels, array(&[1, 2], &[1.0, 0.0]), DType::I32).unwrap(), 1.0);
    let wrong = share(logits, array(&[3], &[0.0; 3]), DType::I32).unwrap_err().to_string();
    assert_eq!(wrong, "accuracy: expected a target of [4], got [3]");
}

#[test]
fn custom_losses_are_written_by_name_only() {
    fn half(g: &mut Graph, output: onestep_engine::Value) -> Result<LossValues, LayerError> {
        let target = g.input("target", &[1], DType::F32)?;
        let sum = g.sum_all(output)?;
        let loss = g.scale(sum, 0.5)?;
        LossValues::of_mean(g, target, loss, output)
    }
    let code = LossSpec::from(CustomLoss::new(half));
    assert!(serde_json::to_string(&code).unwrap_err().to_string().contains("cannot be written"));
    let (loss, _) = values(&code, array(&[1, 2], &[1.0, 3.0]), array(&[1], &[0.0]));
    assert_eq!(loss, 2.0);

    let named: LossSpec = r#"{"type": "custom", "loss": "half"}"#.parse().unwrap();
    let text = serde_json::to_string(&named).unwrap();
    assert_eq!(text.parse::<LossSpec>().unwrap(), named);
    assert!(refusal(named.clone(), &[1, 2]).starts_with("loss: no custom loss `half`"));
    let resolved = named.resolve(&Registry::new().loss("half", |_| Ok(half))).unwrap();
    let (loss, _) = values(&resolved, array(&[1, 2], &[1.0, 3.0]), array(&[1], &[0.0]));
    assert_eq!(loss, 2.0);

    let vector = CustomLoss::new(|g: &mut Graph, output| {
        let target = g.constant(0.0)?;
        LossValues::of_mean(g, target, output, output)
    });
    assert!(refusal(vector, &[1, 2]).starts_with("loss: expected a scalar loss"));
}

#[test]
fn a_label_that_is_no_class_is_not_silent() {
    for loss in [LossSpec::from(Nll::default()), MultiMargin::default().into()] {
        for label in [-1.0, 3.0] {
            let output = array(&[2, 3], &[-1.0, -2.0, f64::NEG_INFINITY, -0.5, -1.0, -3.0]);
            let (loss, _) = values(&loss, output, array(&[2], &[0.0, label]));
            assert!(loss.is_nan(), "{loss}");
        }
    }
    // What is ignored does not count, be it infinite.
    let output = array(&[2, 3], &[-1.0, -2.0, -3.0, f64::NEG_INFINITY, -1.0, -3.0]);
    let (loss, _) = values(&Nll::default().into(), output, array(&[2], &[1.0, -100.0]));
    assert_eq!(loss, 2.0);
}

#[test]
fn losses_of_scores_refuse_what_they_cannot_take() {
    assert!(refusal(MultiMargin::default(), &[2, 3, 4]).contains("scores of [batch, classes]"));
    assert!(
        refusal(MultiMargin { p: 3, ..Default::default() }, &[2, 3]).contains("p must be 1 or 2")
    );
    let weight = Some(vec![1.0]);
    let message = refusal(Nll { weight, ..Nll::default() }, &[2, 3]);
    assert_eq!(message, "nll: weight must be one number for each of 3 classes, got 1");
    let focal = Focal { alpha: Some(1.5), ..Focal::default() };
    assert_eq!(refusal(focal, &[2, 3]), "focal: alpha must be in [0, 1], or null, got 1.5");
}

#[test]
fn every_loss_says_whether_it_is_a_mean_or_a_sum() {
    for &name in LossSpec::TYPES.iter().filter(|name| **name != "custom") {
        let mut json = serde_json::json!({"type": name});
        if name == "formula" {
            json["loss"] = "(y - t)^2".into();
        }
        let read = |json: &serde_json::Value| json.to_string().parse::<LossSpec>();
        assert_eq!(read(&json).unwrap().reduction(), Reduction::Mean, "{name}");
        json["reduction"] = "sum".into();
        assert_eq!(read(&json).unwrap().reduction(), Reduction::Sum, "{name}");
    }
}
