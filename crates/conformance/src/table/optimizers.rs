//! Optimizers: ten steps of the whole update, on gradients that are given. The loss is
//! `sum(parameter * g)`, whose gradient is `g`, so the run is training like any other.

use std::collections::BTreeMap;

use onestep_engine::reference::Array;
use onestep_engine::{
    DType, Graph, GraphError, Mode as ProgramMode, ParameterInfo, Program, Shape,
};
use onestep_optimizer::{
    Averaging, Clip, Grouping, Horizon, Optimizer, OptimizerSpec, ScheduleSpec,
};

use crate::case::{Case, Expect, Setup};
use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::report::Mode;
use crate::subject::{Feeds, Run};
use crate::tolerance::Tolerance;

const UPDATES: Tolerance = Tolerance::UPDATES;

fn optimizer(name: &str, tolerance: Tolerance) -> Case {
    Case {
        family: Family::Optimizers,
        name: name.to_owned(),
        build: Box::new(setup),
        tolerance,
        gradient_tolerance: None,
        exclusions: &[(Mode::Gradient, "the gradients are given")],
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        optimizer("sgd", UPDATES),
        optimizer("sgd_lr", UPDATES),
        optimizer("sgd_momentum", UPDATES),
        optimizer("sgd_dampening", UPDATES),
        optimizer("sgd_nesterov", UPDATES),
        optimizer("sgd_weight_decay", UPDATES),
        optimizer("sgd_momentum_weight_decay", UPDATES),
        optimizer("sgd_nesterov_weight_decay", UPDATES),
        optimizer("sgd_dampening_weight_decay", UPDATES),
        optimizer("adam", UPDATES),
        optimizer("adam_lr", UPDATES),
        optimizer("adam_betas", UPDATES),
        optimizer("adam_eps", UPDATES),
        optimizer("adam_weight_decay", UPDATES),
        optimizer("adam_amsgrad", UPDATES),
        optimizer("adam_amsgrad_weight_decay", UPDATES),
        optimizer("adamw", UPDATES),
        optimizer("adamw_lr", UPDATES),
        optimizer("adamw_betas", UPDATES),
        optimizer("adamw_eps", UPDATES),
        optimizer("adamw_weight_decay", UPDATES),
        optimizer("adamw_amsgrad", UPDATES),
        optimizer("adamw_amsgrad_weight_decay", UPDATES),
        optimizer("rmsprop", UPDATES),
        optimizer("rmsprop_alpha", UPDATES),
        optimizer("rmsprop_eps", UPDATES),
        optimizer("rmsprop_momentum", UPDATES),
        optimizer("rmsprop_centered", UPDATES),
        optimizer("rmsprop_weight_decay", UPDATES),
        optimizer("rmsprop_everything", UPDATES),
        optimizer("adagrad", UPDATES),
        optimizer("adagrad_lr_decay", UPDATES),
        optimizer("adagrad_initial_accumulator", UPDATES),
        optimizer("adagrad_weight_decay", UPDATES),
        optimizer("adagrad_eps", UPDATES),
        optimizer("adagrad_everything", UPDATES),
        optimizer("sgd_changing_lr", UPDATES),
        optimizer("sgd_sparse_gradients", UPDATES),
        optimizer("sgd_tiny_gradients", UPDATES),
        optimizer("sgd_no_decay", UPDATES),
        optimizer("adam_changing_lr", UPDATES),
        optimizer("adam_sparse_gradients", UPDATES),
        optimizer("adam_tiny_gradients", UPDATES),
        optimizer("adam_no_decay", UPDATES),
        optimizer("adamw_changing_lr", UPDATES),
        optimizer("adamw_sparse_gradients", UPDATES),
        optimizer("adamw_tiny_gradients", UPDATES),
        optimizer("adamw_no_decay", UPDATES),
        optimizer("rmsprop_changing_lr", UPDATES),
        optimizer("rmsprop_sparse_gradients", UPDATES),
        optimizer("rmsprop_tiny_gradients", UPDATES),
        optimizer("rmsprop_no_decay", UPDATES),
        optimizer("adagrad_changing_lr", UPDATES),
        optimizer("adagrad_sparse_gradients", UPDATES),
        optimizer("adagrad_tiny_gradients", UPDATES),
        optimizer("adagrad_no_decay", UPDATES),
        optimizer("sgd_clip_norm", UPDATES),
        optimizer("sgd_clip_norm_not_reached", UPDATES),
        optimizer("sgd_clip_value", UPDATES),
        optimizer("adam_clip_norm", UPDATES),
        optimizer("adam_clip_value", UPDATES),
        optimizer("adamw_clip_norm_no_decay", UPDATES),
        optimizer("sgd_ema", UPDATES),
        optimizer("sgd_ema_avg_fn", UPDATES),
        optimizer("adam_swa", UPDATES),
        optimizer("sgd_swa_epochs", UPDATES),
        optimizer("adamw_swa_every_two_epochs", UPDATES),
        optimizer("adamw_scheduled_weight_decay", UPDATES),
        optimizer("sgd_scheduled_momentum", UPDATES),
        optimizer("sgd_scheduled_everything", UPDATES),
        optimizer("adam_scheduled_betas", UPDATES),
        optimizer("rmsprop_scheduled_alpha", UPDATES),
        optimizer("sparse_adam", UPDATES),
        optimizer("sparse_adam_options", UPDATES),
        optimizer("sparse_adam_changing_lr", UPDATES),
        optimizer("lamb", UPDATES),
        optimizer("lamb_weight_decay", UPDATES),
        optimizer("lars", UPDATES),
        optimizer("lars_weight_decay", UPDATES),
        optimizer("lars_nesterov", UPDATES),
        optimizer("lion", UPDATES),
        optimizer("lion_weight_decay", UPDATES),
        optimizer("muon", UPDATES),
        optimizer("muon_lr", UPDATES),
        optimizer("muon_plain", UPDATES),
        optimizer("muon_match_rms_adamw", UPDATES),
        optimizer("muon_spectral", UPDATES),
        optimizer("muon_bf16", UPDATES),
        optimizer("muon_bf16_plain", UPDATES),
        optimizer("adafactor", UPDATES),
        optimizer("adafactor_lr", UPDATES),
        optimizer("adafactor_everything", UPDATES),
        optimizer("schedule_free", UPDATES),
        optimizer("schedule_free_weight_decay", UPDATES),
        optimizer("schedule_free_warmup", UPDATES),
        optimizer("prodigy", UPDATES),
        optimizer("prodigy_weight_decay", UPDATES),
        optimizer("prodigy_bias_correction", UPDATES),
        optimizer("prodigy_safeguard", UPDATES),
    ]
}

/// The optimizer that a golden describes, with its clipping and its groups.
pub(super) fn from_golden(golden: &Golden, field: &str) -> Result<Optimizer, ConformanceError> {
    let fail = |e| ConformanceError::subject("making the optimizer", e);
    let spec: OptimizerSpec = golden.field(field)?;
    let mut optimizer = Optimizer::from_spec(spec).map_err(fail)?;
    if golden.fields.contains_key("no_decay") {
        let grouping = Grouping::no_decay_on_biases_and_norms();
        optimizer = optimizer.with_grouping(grouping).map_err(fail)?;
    }
    if golden.fields.contains_key("clip") {
        optimizer = optimizer.with_clip(golden.field::<Clip>("clip")?).map_err(fail)?;
    }
    if golden.fields.contains_key("averaging") {
        let averaging = golden.field::<Averaging>("averaging")?;
        optimizer = optimizer.with_averaging(averaging).map_err(fail)?;
    }
    if golden.fields.contains_key("option_schedules") {
        // With the number that it starts from, which the optimizer knows.
        let schedules: BTreeMap<String, (ScheduleSpec, f64)> = golden.field("option_schedules")?;
        for (name, (schedule, _)) in schedules {
            optimizer = optimizer.with_schedule(&name, schedule).map_err(fail)?;
        }
    }
    Ok(optimizer)
}

/// Makes a program one that trains with `optimizer`.
pub(super) fn train_with(
    program: &mut Program,
    optimizer: &Optimizer,
    parameters: &[ParameterInfo],
) -> Result<(), ConformanceError> {
    let fail = |e| ConformanceError::subject("making the update", e);
    let groups = optimizer.groups(parameters).map_err(fail)?;
    program.update = Some(optimizer.update_graph(&groups).map_err(fail)?.into());
    program.groups = groups.into();
    program.mode = ProgramMode::Train;
    Ok(())
}

fn setup(golden: &Golden) -> Result<Setup, ConformanceError> {
    let optimizer = from_golden(golden, "spec")?;
    let mut g = Graph::new();
    let mut loss = g.constant(0.0)?;
    let mut parameters = Vec::new();
    for (name, tensor) in golden.with_prefix("param.") {
        let shape = tensor.array.shape.clone();
        let parameter = g.parameter(name, shape.dims())?;
        let gradient = g.input(&format!("given.{name}"), shape.dims(), DType::F32)?;
        let product = g.mul(parameter, gradient)?;
        let sum = g.sum_all(product)?;
        loss = g.add(loss, sum)?;
        parameters.push(ParameterInfo::new(name, shape));
    }
    let mut program = Program::predict(g, Vec::new());
    program.loss = Some(loss);
    train_with(&mut program, &optimizer, &parameters)?;

    let initial = golden.with_prefix("param.");
    let initial = initial.map(|(name, t)| (name.to_owned(), t.array.clone())).collect();
    let steps = feeds(golden, &parameters, &optimizer)?;
    Ok(Setup {
        run: Run { program, initial, steps, seed: 0, first_step: 1 },
        expect: expectations(golden),
    })
}

fn expectations(golden: &Golden) -> Vec<Expect> {
    let parameters = golden.with_prefix("params.");
    let mut expect: Vec<Expect> = parameters
        .map(|(name, _)| Expect::each(format!("params.{name}"), format!("param.{name}")))
        .collect();
    let states = golden.with_prefix("state.");
    expect.extend(states.map(|(name, _)| Expect::last(format!("state.{name}"), name)));
    if golden.tensors.contains_key("norm") {
        expect.push(Expect::each("norm", onestep_optimizer::GRAD_NORM));
    }
    expect
}

/// The gradient of each parameter and the learning rate, for each step.
fn feeds(
    golden: &Golden,
    parameters: &[ParameterInfo],
    optimizer: &Optimizer,
) -> Result<Vec<Feeds>, ConformanceError> {
    let fail = |e| ConformanceError::subject("making the schedules", e);
    let count = golden.array(&format!("grad.{}", parameters[0].name))?.shape[0];
    let per_epoch = match golden.fields.contains_key("steps_per_epoch") {
        true => golden.field::<u64>("steps_per_epoch")?,
        false => count as u64,
    };
    let horizon = Horizon::new((count as u64).div_ceil(per_epoch), per_epoch).map_err(fail)?;
    let fed = optimizer.fed(&horizon).map_err(fail)?;
    let mut steps = vec![Feeds::default(); count];
    for (i, step) in steps.iter_mut().enumerate() {
        for parameter in parameters {
            let all = golden.array(&format!("grad.{}", parameter.name))?;
            let gradient = row(all, i)?;
            step.inputs.insert(format!("given.{}", parameter.name), gradient);
        }
        for (name, number) in fed.at(i as u64) {
            step.scalars.insert(name.to_owned(), number as f32);
        }
        let lr = golden.tensors.get("lr").map_or(optimizer.lr(), |lr| lr.array.data[i]);
        step.scalars.insert(onestep_optimizer::LR.to_owned(), lr as f32);
    }
    Ok(steps)
}

/// One entry along the first axis.
fn row(array: &Array, index: usize) -> Result<Array, GraphError> {
    let shape = Shape::new(&array.shape.dims()[1..])?;
    let size = shape.elements();
    Array::new(shape, array.data[index * size..(index + 1) * size].to_vec())
}
