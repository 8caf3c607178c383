//! What can be said of dropout without PyTorch's random numbers: the mask is one of zeros and
//! `1/(1 - p)` in the right proportion, the gradient has the same mask, each step has its own, and
//! the seed decides.

use onestep_engine::reference::Array;
use onestep_engine::{DType, Graph, Mode, Named, Program, Shape};
use onestep_layers::{Dropout, ModelSpec};

use crate::case::no_update;
use crate::error::ConformanceError;
use crate::subject::{Feeds, Outcome, Run, Subject, Tensors};

const SAMPLES: usize = 64;
const FEATURES: usize = 100;
const P: f32 = 0.3;

/// Checks dropout in training on `subject`, and that evaluation leaves its input as it is.
///
/// # Errors
/// What is wrong, or an error of the subject.
pub fn check_dropout(subject: &dyn Subject) -> Result<(), String> {
    let text = |e: ConformanceError| e.to_string();
    let outcome = subject.run(&run(Mode::Train, 1).map_err(text)?).map_err(text)?;
    let masks = outputs(&outcome)?;
    for (i, mask) in masks.iter().enumerate() {
        check_mask(mask).map_err(|e| format!("step {i}: {e}"))?;
        let gradient = outcome.steps[i].get("grad.input").ok_or("there is no grad.input")?;
        expect(gradient.data == mask.data, "the gradient has another mask than the output")?;
    }
    expect(masks[0].data != masks[1].data, "two steps have the same mask")?;

    let again = subject.run(&run(Mode::Train, 1).map_err(text)?).map_err(text)?;
    expect(outputs(&again)? == masks, "the same seed gives other masks")?;
    let other = subject.run(&run(Mode::Train, 2).map_err(text)?).map_err(text)?;
    expect(outputs(&other)?[0] != masks[0], "another seed gives the same mask")?;

    let evaluated = subject.run(&run(Mode::Evaluate, 1).map_err(text)?).map_err(text)?;
    let untouched = outputs(&evaluated)?[0].data.iter().all(|&x| x == 1.0);
    expect(untouched, "evaluation changes its input")
}

fn expect(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn outputs(outcome: &Outcome) -> Result<Vec<&Array>, String> {
    let outputs = outcome.steps.iter().map(|step| step.get("output"));
    outputs.collect::<Option<_>>().ok_or_else(|| "there is no output".to_owned())
}

/// On an input of ones the output is the mask.
fn check_mask(mask: &Array) -> Result<(), String> {
    let kept = 1.0 / f64::from(1.0 - P);
    let known = |&x: &f64| x == 0.0 || (x - kept).abs() < 1e-6;
    if let Some(odd) = mask.data.iter().find(|x| !known(x)) {
        return Err(format!("an element is {odd}, neither 0 nor {kept}"));
    }
    let count = mask.data.len() as f64;
    let share = mask.data.iter().filter(|&&x| x == 0.0).count() as f64 / count;
    let p = f64::from(P);
    // Four standard deviations of a binomial share.
    let allowed = 4.0 * (p * (1.0 - p) / count).sqrt();
    if (share - p).abs() > allowed {
        return Err(format!("{share} of the elements are dropped, wanted {p} +- {allowed}"));
    }
    Ok(())
}

/// Two steps of dropout on ones, with the loss `sum(output)`.
fn run(mode: Mode, seed: u64) -> Result<Run, ConformanceError> {
    let fail = |e| ConformanceError::subject("building dropout", e);
    let layer = Dropout { name: None, p: P };
    let spec = ModelSpec::new("dropout", [FEATURES], vec![layer.into()]);
    let forward = spec.compile().and_then(|m| m.forward(mode, SAMPLES)).map_err(fail)?;
    let output = forward.output();
    let mut g = Graph::new();
    let input = g.parameter("input", &[SAMPLES, FEATURES])?;
    let map = g.splice(&forward.graph, |_, leaf| (leaf.name == "input").then_some(input))?;
    let output = map[output.index()];
    // A weight that is fed keeps the gradient from being a constant.
    let weight = g.input("weight", &[], DType::F32)?;
    let sum = g.sum_all(output)?;
    let loss = g.mul(sum, weight)?;
    let mut program = Program::predict(g, vec![Named::new("output", output)]);
    program.mode = Mode::Train;
    program.loss = Some(loss);
    program.update = Some(no_update(&program.groups)?.into());
    program.keep_gradients = true;

    let shape = Shape::from([SAMPLES, FEATURES]);
    let ones = Array { data: vec![1.0; shape.elements()], shape };
    let one = crate::reference::scalar(1.0);
    let inputs = Tensors::from([("weight".to_owned(), one)]);
    let feeds = Feeds { inputs, ..Feeds::default() };
    let initial = Tensors::from([("input".to_owned(), ones)]);
    Ok(Run { program, initial, steps: vec![feeds.clone(), feeds], seed, first_step: 1 })
}
