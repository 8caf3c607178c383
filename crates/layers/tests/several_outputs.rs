//! Losses of several outputs, and those that compare with nothing: gradients, values, refusals.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{DType, Graph, Mode, Shape};
use onestep_layers::{Ctc, LayerError, LossContext, LossSpec, LossTerm, ModelBuilder, Reduction};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn loss(text: &str) -> LossSpec {
    text.parse().unwrap()
}

/// The loss of so many outputs of the given dimensions, with the graph and its leaves.
fn built(
    loss: &LossSpec,
    outputs: &[Array],
    target: Option<Array>,
) -> (f64, Graph, common::Leaves) {
    let mut g = Graph::new();
    let mut leaves = common::Leaves::new();
    let mut values = Vec::new();
    for (name, output) in NAMES.iter().zip(outputs) {
        values.push(g.input(name, output.shape.dims(), DType::F32).unwrap());
        leaves.insert((*name).to_owned(), output.clone());
    }
    let mut cx = LossContext::new(&mut g, values[0]).with_outputs(&values[1..]);
    let built = loss.build_in(&mut cx).unwrap();
    assert_eq!(built.target.is_some(), target.is_some());
    leaves.extend(target.map(|target| ("target".to_owned(), target)));
    common::check_gradients(&g, built.loss, &leaves, &format!("{loss:?}"));
    (common::value(&g, &leaves, built.loss).data[0], g, leaves)
}

fn numbers(dims: &[usize], count: u32) -> Vec<Array> {
    (0..count).map(|stream| common::numbers(dims, 20 + stream, -1.5, 1.5)).collect()
}

fn sides(dims: &[usize]) -> Array {
    let mut target = common::numbers(dims, 5, -1.0, 1.0);
    target.data.iter_mut().for_each(|x| *x = x.signum());
    target
}

#[test]
fn gradients_of_losses_of_several_outputs() {
    built(
        &loss(r#"{"type": "margin_ranking", "margin": 0.5}"#),
        &numbers(&[4, 3], 2),
        Some(sides(&[4, 3])),
    );
    for text in [
        r#""triplet_margin""#,
        r#"{"type": "triplet_margin", "swap": true, "margin": 2, "reduction": "sum"}"#,
        r#"{"type": "triplet_margin", "p": 3, "margin": 3}"#,
        r#"{"type": "triplet_margin", "p": 1, "margin": 3}"#,
    ] {
        built(&serde_json::from_str(text).unwrap(), &numbers(&[4, 2, 3], 3), None);
    }
    let cosine = loss(r#"{"type": "cosine_embedding", "margin": 0.2}"#);
    built(&cosine, &numbers(&[5, 3], 2), Some(sides(&[5])));
    for single in [false, true] {
        let mut outputs = numbers(&[4, 3], 1);
        let dims = if single { [4, 1] } else { [4, 3] };
        outputs.push(common::numbers(&dims, 9, 0.3, 2.0));
        let target = Some(common::numbers(&[4, 3], 11, -1.0, 1.0));
        built(&loss(r#"{"type": "gaussian_nll", "full": true}"#), &outputs, target);
    }
    built(&loss("vae_kl"), &numbers(&[4, 3], 2), None);
    built(&loss("nt_xent"), &numbers(&[4, 3], 2), None);
    built(&loss(r#"{"type": "nt_xent", "temperature": 0.2}"#), &numbers(&[4, 2, 3], 1), None);
}

fn array(dims: &[usize], data: &[f64]) -> Array {
    Array::new(Shape::new(dims).unwrap(), data.to_vec()).unwrap()
}

/// The probability of a string by all paths of so many steps.
fn by_all_paths(logits: &Array, string: &[usize]) -> f64 {
    let [steps, classes] = *logits.shape.dims() else { panic!("steps and classes") };
    let rows: Vec<Vec<f64>> = logits
        .data
        .chunks(classes)
        .map(|row| {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / sum).collect()
        })
        .collect();
    let mut total = 0.0;
    for path in 0..classes.pow(steps as u32) {
        let said: Vec<usize> = (0..steps).map(|t| path / classes.pow(t as u32) % classes).collect();
        let mut read = said.clone();
        read.dedup();
        read.retain(|class| *class != 0);
        if read == string {
            total += said.iter().zip(&rows).map(|(class, row)| row[*class]).product::<f64>();
        }
    }
    total
}

#[test]
fn ctc_is_the_sum_over_all_paths() {
    let target = array(&[3, 2], &[1.0, 1.0, 2.0, -1.0, -1.0, -1.0]);
    let output = common::numbers(&[3, 5, 3], 31, -1.0, 1.0);
    let strings: [&[usize]; 3] = [&[1, 1], &[2], &[]];
    let ctc = Ctc { length: Some(2), reduction: Reduction::Sum, ..Ctc::default() };
    let (got, ..) = built(&ctc.clone().into(), std::slice::from_ref(&output), Some(target.clone()));
    let all = |steps: [usize; 3]| -> f64 {
        let of = |(place, string): (usize, &&[usize])| {
            let own = &output.data[place * 15..][..steps[place] * 3];
            -by_all_paths(&array(&[steps[place], 3], own), string).ln()
        };
        strings.iter().enumerate().map(of).sum()
    };
    assert!((got - all([5, 5, 5])).abs() < 1e-9, "{got}");
    let steps = array(&[3], &[3.0, 1.0, 4.0]);
    let mut g = Graph::new();
    let logits = g.input("a", &[3, 5, 3], DType::F32).unwrap();
    let counts = g.input("b", &[3], DType::I32).unwrap();
    let spec = LossSpec::from(ctc);
    let values =
        spec.build_in(&mut LossContext::new(&mut g, logits).with_outputs(&[counts])).unwrap();
    let leaves = [("a", output.clone()), ("b", steps), ("target", target)];
    let leaves = leaves.map(|(name, array)| (name.to_owned(), array)).into();
    let got = common::value(&g, &leaves, values.loss).data[0];
    assert!((got - all([3, 1, 4])).abs() < 1e-9, "{got}");
}

#[test]
fn a_string_that_is_too_long_costs_infinity_or_nothing() {
    let output = common::numbers(&[1, 2, 3], 31, -1.0, 1.0);
    for (zero_infinity, wanted) in [(false, f64::INFINITY), (true, 0.0)] {
        let ctc = Ctc { length: Some(2), zero_infinity, ..Ctc::default() };
        let mut g = Graph::new();
        let logits = g.input("a", &[1, 2, 3], DType::F32).unwrap();
        let values = LossSpec::from(ctc).build(&mut g, logits).unwrap();
        let leaves = [("a", output.clone()), ("target", array(&[1, 2], &[1.0, 1.0]))];
        let leaves = leaves.map(|(name, array)| (name.to_owned(), array)).into();
        assert_eq!(common::value(&g, &leaves, values.loss).data[0], wanted);
    }
}

#[test]
fn a_term_names_its_outputs_in_order() -> Result<(), LayerError> {
    let model = ModelBuilder::new([4])
        .dense(3, true, "mean")
        .dense(3, true, "log_var")
        .taking(["input"])
        .output("mean", "mean")
        .output("log_var", "log_var")
        .build()?;
    let build = |text: &str| {
        let term: LossTerm = serde_json::from_str(text).unwrap();
        let mut forward = model.forward(Mode::Train, 2)?;
        LossTerm::build_all(&[term], &mut forward.graph, &forward.outputs, false)
    };
    let joint = build(r#"{"outputs": ["mean", "log_var"], "loss": "vae_kl"}"#)?;
    assert_eq!((joint.terms.len(), joint.terms[0].target), (1, None));
    let refused = |text: &str| build(text).unwrap_err().to_string();
    let got = refused(r#"{"outputs": ["mean", "var"], "loss": "vae_kl"}"#);
    assert!(got.contains("an output of the model (log_var, mean)"), "{got}");
    let got = refused(r#"{"output": "mean", "loss": "vae_kl"}"#);
    assert!(got.contains("2 `outputs` (mean, log_var)"), "{got}");
    let got = refused(r#"{"outputs": ["mean", "log_var"], "loss": "mse"}"#);
    assert!(got.contains("at most 1 in `outputs`"), "{got}");
    let got = refused(r#"{"output": "mean", "outputs": ["mean", "log_var"], "loss": "vae_kl"}"#);
    assert!(got.contains("one of `output` and `outputs`"), "{got}");
    Ok(())
}
