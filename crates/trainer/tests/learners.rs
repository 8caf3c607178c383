//! Learners by themselves: saved, loaded, taking turns, with code of one's own.

mod support;

use std::path::Path;
use std::sync::Arc;

use onestep_engine::{Feeds, Graph, GraphError, Value};
use onestep_layers::{
    BuildContext, Custom, CustomLoss, LayerError, LossValues, Model, ModelBuilder, Registry,
};
use onestep_memory::Tensor;
use onestep_optimizer::{
    Averaging, CustomOptimizer, Ema, GroupLeaves, Horizon, Optimizer, OptimizerSpec, StateKind,
    Swa, UpdateRule, Updated,
};
use onestep_trainer::{
    Better, CustomMetric, Learner, Measured, Metric, Scored, Trainer, TrainerBuilder, TrainerError,
    TrainingProgram, checkpoint,
};
use support::{cpu, noise, quadrants, small_config};

fn optimizer(name: &str) -> Optimizer {
    Optimizer::from_spec(name.parse::<OptimizerSpec>().unwrap().with_lr(0.05)).unwrap()
}

/// Dense layers with dropout and running statistics.
fn model(inputs: usize) -> Model {
    ModelBuilder::new([inputs])
        .dense(6, true, "fc1")
        .batch_norm("bn1")
        .relu("relu1")
        .dropout(0.2, "drop1")
        .dense(1, true, "fc2")
        .build()
        .unwrap()
}

fn batch(learner: &Learner, inputs: usize, number: usize) -> [Tensor; 2] {
    let values: Vec<f32> = (0..4 * inputs).map(|i| noise(i + 100 * number)).collect();
    let sums: Vec<f32> = values.chunks(inputs).map(|row| row.iter().sum()).collect();
    let memory = learner.memory();
    [memory.from_slice([4, inputs], &values).unwrap(), memory.from_slice([4, 1], &sums).unwrap()]
}

/// Each tensor of a learner's state, by name.
fn state(learner: &Learner) -> Vec<(String, Vec<f32>)> {
    let entries = learner.state().layout().entries().iter();
    entries.map(|e| (e.name.clone(), learner.state().read(&e.name).unwrap())).collect()
}

/// Batches of a loop that sets its own learning rate, two of which make an update.
fn run(learner: &mut Learner, batches: std::ops::Range<usize>) {
    for number in batches {
        let batch = batch(learner, 3, number);
        learner.set_learning_rate(0.1 / (1.0 + number as f64));
        let ticket = match number % 2 {
            0 => learner.accumulate(Feeds::new(&batch)).unwrap(),
            _ => learner.step(Feeds::new(&batch)).unwrap(),
        };
        assert!(ticket.wait().unwrap().loss().unwrap().is_finite());
    }
}

#[test]
fn a_learner_goes_on_to_the_same_bits() {
    let averages =
        [Averaging::Ema(Ema { decay: 0.8, warmup: true }), Averaging::Swa(Swa::default())];
    for (averaging, name) in averages.into_iter().zip(["sgd", "adamw"]) {
        let make = || {
            let spec = match name {
                "sgd" => r#"{"type": "sgd", "lr": 0.05, "momentum": 0.9}"#,
                _ => r#"{"type": "adamw", "lr": 0.05, "weight_decay": 0.3}"#,
            };
            let option = if name == "sgd" { "momentum" } else { "weight_decay" };
            let optimizer = Optimizer::from_spec(spec.parse().unwrap())
                .and_then(|o| o.with_averaging(averaging))
                .and_then(|o| o.with_schedule(option, "step:1:0.5".parse().unwrap()))
                .unwrap();
            let program = TrainingProgram::new(model(3), "mse".parse().unwrap(), optimizer);
            let program = program.and_then(|p| p.freeze(&["fc1.bias".into()], false)).unwrap();
            let mut learner = Learner::new(program.accumulate(2).unwrap(), cpu(), 7).unwrap();
            learner.set_horizon(&Horizon::new(5, 2).unwrap()).unwrap();
            learner
        };
        let mut whole = make();
        run(&mut whole, 0..13);
        // Also in the middle of an update.
        for cut in [1, 6, 7] {
            let root = tempfile::tempdir().unwrap();
            let mut first = make();
            run(&mut first, 0..cut);
            first.save(root.path()).unwrap();
            let mut loaded = Learner::load(root.path(), cpu()).unwrap();
            assert_eq!((loaded.steps(), loaded.seed()), (cut as u64 / 2, 7));
            assert_eq!(loaded.learning_rate(), first.learning_rate());
            assert_eq!(loaded.program().frozen().collect::<Vec<_>>(), ["fc1.bias"]);
            run(&mut loaded, cut..13);
            assert!(state(&loaded) == state(&whole), "{name} from {cut}");
        }
    }
}

/// Two that share a part of their models and take turns, as in a GAN.
fn turns(one: &mut Learner, other: &mut Learner, rounds: std::ops::Range<usize>) {
    for number in rounds {
        let given = batch(one, 3, number);
        one.step(Feeds::new(&given)).unwrap().wait().unwrap();
        assert_eq!(other.take_from(one, "bn1.*").unwrap(), 4);
        let given = batch(other, 5, number + 50);
        other.step(Feeds::new(&given)).unwrap().wait().unwrap();
    }
}

#[test]
fn two_learners_that_take_turns_go_on_to_the_same_bits() {
    let make = || {
        let one =
            TrainingProgram::new(model(3), "mse".parse().unwrap(), optimizer("adam")).unwrap();
        let other = TrainingProgram::new(model(5), "huber".parse().unwrap(), optimizer("rmsprop"));
        (Learner::new(one, cpu(), 1).unwrap(), Learner::new(other.unwrap(), cpu(), 2).unwrap())
    };
    let (mut one, mut other) = make();
    turns(&mut one, &mut other, 0..6);
    let (mut first, mut second) = make();
    turns(&mut first, &mut second, 0..3);
    let root = tempfile::tempdir().unwrap();
    let folders = [root.path().join("one"), root.path().join("other")];
    first.save(&folders[0]).unwrap();
    second.save(&folders[1]).unwrap();
    let mut first = Learner::load(&folders[0], cpu()).unwrap();
    let mut second = Learner::load(&folders[1], cpu()).unwrap();
    turns(&mut first, &mut second, 3..6);
    assert!(state(&first) == state(&one) && state(&second) == state(&other));
    let error = first.restore(&folders[1]).unwrap_err();
    assert!(matches!(error, TrainerError::OtherModel { .. }), "{error}");
    assert!(state(&first) == state(&one), "nothing has changed");
}

#[test]
fn a_run_and_a_learner_read_each_others_checkpoints() {
    let root = tempfile::tempdir().unwrap();
    let model = || onestep_trainer::factory::mlp([2], &[4], 2);
    let averaging = Some(Averaging::Ema(Ema { decay: 0.5, warmup: false }));
    let config = onestep_trainer::TrainerConfig { averaging, ..small_config() };
    let mut trainer = Trainer::builder(model()).config(config).executor(cpu()).build().unwrap();
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    trainer.save(root.path()).unwrap();
    let learner = Learner::load(root.path(), cpu()).unwrap();
    assert_eq!(learner.steps(), trainer.progress().step);
    assert!(state(&learner) == state(trainer.learner()));
    learner.save(root.path()).unwrap();
    let mut again = TrainerBuilder::load(root.path()).unwrap().executor(cpu()).build().unwrap();
    let evaluated = trainer.evaluate(quadrants(32)).unwrap().metrics;
    assert_eq!(again.evaluate(quadrants(32)).unwrap().metrics, evaluated);
    assert_eq!(again.progress().step, trainer.progress().step);
    // What is broken is told of, as of any checkpoint.
    std::fs::write(root.path().join(checkpoint::STATE), b"").unwrap();
    let error = Learner::load(root.path(), cpu()).unwrap_err().to_string();
    assert!(error.contains("state.safetensors"), "{error}");
}

/// Momentum by another name.
#[derive(Debug)]
struct Own;

impl UpdateRule for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("velocity")]
    }
    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let velocity = g.scale(leaves.state("velocity")?, 0.9)?;
        let velocity = g.add(velocity, leaves.gradient)?;
        let change = g.mul(velocity, leaves.lr)?;
        let parameter = g.sub(leaves.parameter, change)?;
        Ok(Updated { parameter, states: vec![velocity] })
    }
}

/// The largest error of a batch.
#[derive(Debug)]
struct Largest;

impl Metric for Largest {
    fn name(&self) -> String {
        "largest_error".into()
    }
    fn better(&self) -> Better {
        Better::Lower
    }
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Some(target) = scored.loss.target else { return Ok(None) };
        let difference = g.sub(scored.output, target)?;
        let error = g.abs(difference)?;
        let axes: Vec<usize> = (0..g.shape(error).rank()).collect();
        let largest = g.max_over(error, &axes, false)?;
        Ok(Some(Measured::over_samples(largest)))
    }
}

fn halved(g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
    let mut values = "mse".parse::<onestep_layers::LossSpec>()?.build(g, output)?;
    values.loss = g.scale(values.loss, 0.5)?;
    Ok(values)
}

fn registry() -> Registry {
    Registry::new()
        .layer("twice", |_| {
            Ok(|cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
                Ok(cx.graph.scale(x, 2.0)?)
            })
        })
        .loss("halved", |_| Ok(halved))
        .with::<dyn UpdateRule>("own", |_| Ok(Arc::new(Own)))
        .with::<dyn Metric>("largest_error", |_| Ok(Arc::new(Largest)))
}

/// A run in which everything is of one's own, by name.
fn all_own(folder: &Path) -> Trainer {
    let registry = registry();
    let twice = Custom::registered("twice", Default::default());
    let spec = ModelBuilder::new([2]).layer(twice).dense(1, true, "fc").spec();
    let config = onestep_trainer::TrainerConfig {
        loss: CustomLoss::registered("halved", Default::default()).into(),
        optimizer: CustomOptimizer::new("own", Default::default(), 0.01).into(),
        metrics: vec![CustomMetric::registered("largest_error").into()],
        ..small_config()
    };
    let config = config.resolve(&registry).unwrap();
    let spec = spec.resolve(&registry).unwrap();
    let mut trainer = Trainer::builder(spec).config(config).executor(cpu()).build().unwrap();
    trainer.fit(support::plane(32), None, &mut []).unwrap();
    trainer.save(folder).unwrap();
    trainer
}

#[test]
fn all_code_of_ones_own_is_looked_up_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = all_own(root.path());
    let metric = |trainer: &Trainer| trainer.epochs()[1].train.get("largest_error").unwrap();
    assert!(metric(&trainer).is_finite());
    let mut loaded = Trainer::load_with(root.path(), &registry()).unwrap();
    let learner = Learner::load_with(root.path(), &registry(), cpu()).unwrap();
    assert!(state(&learner) == state(loaded.learner()));
    assert_eq!(learner.program().optimizer().name(), "own");
    for trainer in [&mut trainer, &mut loaded] {
        trainer.set_epochs(4).unwrap();
        trainer.fit(support::plane(32), None, &mut []).unwrap();
    }
    assert!(state(trainer.learner()) == state(loaded.learner()));
    assert_eq!(metric(&loaded), metric(&trainer));
    learner.save(root.path()).unwrap();
    assert!(Learner::load_with(root.path(), &registry(), cpu()).is_ok());
    let without: [(Registry, &str); 3] = [
        (Registry::new(), "`twice`"),
        (registry_without("own"), "own"),
        (registry_without("largest_error"), "largest_error"),
    ];
    for (registry, missing) in without {
        let error = Learner::load_with(root.path(), &registry, cpu()).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
}

fn registry_without(name: &str) -> Registry {
    let mut registry = Registry::new()
        .layer("twice", |_| {
            Ok(|cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
                Ok(cx.graph.scale(x, 2.0)?)
            })
        })
        .loss("halved", |_| Ok(halved));
    if name != "own" {
        registry = registry.with::<dyn UpdateRule>("own", |_| Ok(Arc::new(Own)));
    }
    if name != "largest_error" {
        registry = registry.with::<dyn Metric>("largest_error", |_| Ok(Arc::new(Largest)));
    }
    registry
}

#[test]
fn an_update_rule_without_a_name_is_given_again() {
    let root = tempfile::tempdir().unwrap();
    let make = || {
        let own = Optimizer::new(Own, 0.1).unwrap();
        let program = TrainingProgram::new(model(3), "mse".parse().unwrap(), own).unwrap();
        Learner::new(program.accumulate(2).unwrap(), cpu(), 3).unwrap()
    };
    let mut whole = make();
    run(&mut whole, 0..6);
    let mut first = make();
    run(&mut first, 0..3);
    first.save(root.path()).unwrap();
    let error = Learner::load(root.path(), cpu()).unwrap_err().to_string();
    assert!(error.contains("`own`") && error.contains("Learner::restore"), "{error}");
    let mut again = make();
    again.restore(root.path()).unwrap();
    run(&mut again, 3..6);
    assert!(state(&again) == state(&whole));
    let adam = TrainingProgram::new(model(3), "mse".parse().unwrap(), optimizer("adam")).unwrap();
    let mut adam = Learner::new(adam.accumulate(2).unwrap(), cpu(), 3).unwrap();
    let error = adam.restore(root.path()).unwrap_err().to_string();
    assert!(error.contains("velocity") || error.contains("exp_avg"), "{error}");
}
