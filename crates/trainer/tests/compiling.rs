//! From a model to a planned step, before which nothing runs: what it costs, and what it refuses.

use onestep_engine::{EngineError, Mode};
use onestep_layers::{Branch, InputType, Model, ModelBuilder, ModelSpec};
use onestep_trainer::{Trainer, TrainerConfig, TrainerError};

fn config(memory_budget: Option<usize>) -> TrainerConfig {
    TrainerConfig { device: "cpu".into(), threads: 1, memory_budget, ..TrainerConfig::default() }
}

/// `deep` applied to the numbers from 0 on, behind it a dense layer for ten classes.
fn deep(
    input: &[usize],
    layers: usize,
    deep: impl Fn(ModelBuilder, usize) -> ModelBuilder,
) -> Model {
    let model = (0..layers).fold(ModelBuilder::new(input), deep);
    model.flatten("flat").dense(10, true, "fc").build().unwrap()
}

fn dense(layers: usize) -> Model {
    deep(&[16], layers, |model, i| match i % 3 {
        0 => model.dense(16, true, &format!("dense{i}")),
        1 => model.batch_norm(&format!("norm{i}")),
        _ => model.relu(&format!("relu{i}")),
    })
}

fn norms(layers: usize) -> Model {
    deep(&[16], layers, |model, i| model.batch_norm(&format!("norm{i}")))
}

fn residual(layers: usize) -> Model {
    let body = |branch: Branch| branch.conv2d(4, 3, 1, 1, false, "conv").batch_norm("norm");
    let block = |model: ModelBuilder, i: usize| {
        model.residual(body, |shortcut| shortcut, &format!("block{i}")).relu(&format!("relu{i}"))
    };
    deep(&[4, 4, 4], layers / 4, block)
}

/// What all passes visit, from the model to the kernels of a step for training and for evaluation.
#[cfg(debug_assertions)]
fn work(model: Model) -> u64 {
    let before = onestep_engine::compiler_work();
    let builder = Trainer::builder(model).config(config(None));
    builder.footprints([Mode::Train, Mode::Evaluate], 256).unwrap();
    onestep_engine::compiler_work() - before
}

#[cfg(debug_assertions)]
#[test]
fn work_does_not_grow_with_the_square_of_the_layers() {
    type Kind = (&'static str, fn(usize) -> Model);
    let kinds: [Kind; 3] = [("dense", dense), ("norms", norms), ("residual", residual)];
    for (kind, model) in kinds {
        let [once, twice] = [300, 600].map(|layers| work(model(layers)));
        assert!(once > 1000, "{kind}: {once} is nothing to compare with");
        // A pass that grows with the square would make it four times as much.
        assert!(twice * 2 < once * 7, "{kind}: {once}, then {twice}");
    }
}

/// A table of 2^36 numbers: with Adam's state 768 GiB.
fn huge() -> Model {
    let mut spec: ModelSpec = ModelBuilder::new([2]).embedding(1 << 35, 2, "table").spec();
    spec.input_mut().unwrap().dtype = InputType::I32;
    spec.compile().unwrap()
}

#[test]
fn a_model_beyond_all_memory_can_be_planned() {
    let mut config = config(None);
    config.loss = "mse".parse().unwrap();
    let builder = Trainer::builder(huge()).config(config);
    let [train, predict] = builder.footprints([Mode::Train, Mode::Predict], 4).unwrap();
    assert!(train.state >= 3 << 38, "{train}");
    assert_eq!(predict.state, train.state);
}

#[test]
fn parameters_beyond_the_budget_are_refused_before_any_is_there() {
    let mut config = config(Some(1 << 30));
    config.loss = "mse".parse().unwrap();
    let error = Trainer::new(huge(), config).err().unwrap();
    let TrainerError::Engine(engine) = &error else { panic!("{error}") };
    let EngineError::OverBudget { state, budget, .. } = &**engine else { panic!("{error}") };
    assert!(*state >= 3 << 38 && *budget <= 1 << 30, "{error}");
    let text = error.to_string();
    assert!(text.contains("smaller model") && text.contains("--memory-budget"), "{text}");
}

#[test]
fn a_batch_beyond_the_budget_is_refused_with_its_cure() {
    let mut trainer = Trainer::new(dense(6), config(Some(1 << 20))).unwrap();
    assert!(trainer.footprint(Mode::Train, 8).is_ok());
    let text = trainer.footprint(Mode::Train, 1 << 16).unwrap_err().to_string();
    for cure in ["--batch-size", "?size=", "--memory-budget"] {
        assert!(text.contains(cure), "{text}");
    }
}
