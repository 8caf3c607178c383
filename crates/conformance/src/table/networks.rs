//! Whole networks: twenty steps of training from PyTorch's weights.

use onestep_engine::{Mode as ProgramMode, Named, ParameterInfo, Program};
use onestep_layers::{LossSpec, ModelSpec};

use super::optimizers::{from_golden, train_with};
use crate::case::{Case, Expect, Setup};
use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::report::Mode;
use crate::subject::{Feeds, Run, Tensors};
use crate::tolerance::Tolerance;

const STEPS: Tolerance = Tolerance::STEPS;

/// The value mode says all that parity would.
const SAME: (Mode, &str) = (
    Mode::Parity,
    "the golden is a float64 run of the same steps, as the f64 evaluator's would be",
);
const SMOOTH: &[(Mode, &str)] = &[SAME];
const KINKS: &[(Mode, &str)] = &[
    SAME,
    (
        Mode::Gradient,
        "of thousands of ReLUs some have their kink within any step; each layer is checked alone",
    ),
];

fn network(name: &str) -> Case {
    Case {
        family: Family::Networks,
        name: name.to_owned(),
        build: Box::new(setup),
        tolerance: STEPS,
        gradient_tolerance: None,
        exclusions: &[],
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        network("seed_cnn_sgd").without(KINKS),
        network("seed_cnn_adam").without(KINKS),
        network("mlp").without(KINKS),
        network("pooled_cnn").without(KINKS),
        network("small_resnet").without(KINKS),
        // Smooth throughout: no ReLU, no maximum.
        network("held_statistics").without(SMOOTH),
        network("regression").without(SMOOTH),
        network("parametrized").without(SMOOTH),
    ]
}

fn setup(golden: &Golden) -> Result<Setup, ConformanceError> {
    let optimizer = from_golden(golden, "optimizer")?;
    let losses = golden.array("losses64")?.data.len();
    let mut feeds = Feeds::default();
    for name in ["input", "target"] {
        feeds.inputs.insert(name.to_owned(), golden.array(name)?.clone());
    }
    feeds.scalars.insert(onestep_optimizer::LR.to_owned(), optimizer.lr() as f32);
    let run = Run {
        program: program(golden)?,
        initial: initial(golden),
        steps: vec![feeds; losses],
        seed: 0,
        first_step: 1,
    };
    let held = held(golden)?;
    Ok(Setup { run, expect: expectations(golden, &held) })
}

/// The training program of a golden's model, loss and optimizer.
fn program(golden: &Golden) -> Result<Program, ConformanceError> {
    let fail = |e| ConformanceError::subject("building the network", e);
    let spec: ModelSpec = golden.field("spec")?;
    let loss: LossSpec = golden.field("loss")?;
    let model = spec.compile().map_err(fail)?;
    let batch = golden.array("input")?.shape[0];
    let held = held(golden)?;
    let forward = model.forward_holding(ProgramMode::Train, batch, &[], &held);
    let mut forward = forward.map_err(fail)?;
    let output = forward.output();
    let values = loss.build(&mut forward.graph, output).map_err(fail)?;
    let mut program = Program::predict(forward.graph, vec![Named::new("output", output)]);
    program.loss = Some(values.loss);
    program.state_updates = forward.state_updates;
    program.keep_gradients = true;
    let parameters: Vec<ParameterInfo> =
        model.parameters().iter().map(|p| p.info.clone()).collect();
    train_with(&mut program, &from_golden(golden, "optimizer")?, &parameters)?;
    Ok(program)
}

/// States that stay as they are.
fn held(golden: &Golden) -> Result<Vec<String>, ConformanceError> {
    match golden.fields.contains_key("held") {
        true => golden.field("held"),
        false => Ok(Vec::new()),
    }
}

/// Parameters and running statistics before the first step.
pub(super) fn initial(golden: &Golden) -> Tensors {
    let tensors = golden.with_prefix("param.").chain(golden.with_prefix("state."));
    tensors.map(|(name, t)| (name.to_owned(), t.array.clone())).collect()
}

fn expectations(golden: &Golden, held: &[String]) -> Vec<Expect> {
    let mut expect = vec![Expect::first("output", "output"), Expect::each("losses64", "loss")];
    for (name, _) in golden.with_prefix("grad.") {
        expect.push(Expect::first(format!("grad.{name}"), format!("grad.{name}")));
    }
    for (name, _) in golden.with_prefix("final.") {
        expect.push(Expect::last(format!("final.{name}"), format!("param.{name}")));
    }
    // No step writes what is held.
    let states = golden.with_prefix("final_state.");
    for (name, _) in states.filter(|(name, _)| !held.iter().any(|held| held == name)) {
        expect.push(Expect::last(format!("final_state.{name}"), format!("state.{name}")));
    }
    expect
}
