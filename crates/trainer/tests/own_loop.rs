//! Loops of one's own: the schedule, the learning rate, gradients; and losses over any batches.

mod support;

use std::sync::Arc;

use onestep_data::{Dataset, InMemory, TargetSpec};
use onestep_memory::Shape;
use onestep_trainer::{StepResult, Trainer, TrainerConfig, TrainerError, factory};
use support::{cpu, executor, noise, plane, quadrants, small_config, trainer};

fn sgd(lr: f64) -> onestep_optimizer::OptimizerSpec {
    "sgd".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(lr)
}

fn config(schedule: &str) -> TrainerConfig {
    TrainerConfig { optimizer: sgd(0.4), schedule: schedule.parse().unwrap(), ..small_config() }
}

fn step(trainer: &mut Trainer) -> Result<StepResult, TrainerError> {
    trainer.train_batch(&[1.0, 0.0, 0.0, 1.0], &[0, 1])
}

fn model() -> onestep_layers::ModelSpec {
    factory::mlp([2], &[], 2)
}

#[test]
fn single_steps_follow_the_schedule() {
    let mut epochs = trainer(
        model(),
        TrainerConfig { epochs: 3, steps_per_epoch: Some(2), ..config("step:1:0.5") },
    );
    let mut used = Vec::new();
    for _ in 0..6 {
        let before = epochs.parameter("fc1.bias").unwrap();
        // The first step makes the schedule.
        step(&mut epochs).unwrap();
        used.push(epochs.parameter("fc1.bias").unwrap() != before);
    }
    assert_eq!(used, [true; 6]);
    assert!((epochs.learning_rate() - 0.05).abs() < 1e-12, "{}", epochs.learning_rate());

    let mut steps = trainer(model(), config("step:2:0.5@step"));
    for wanted in [0.4, 0.2, 0.2, 0.1] {
        step(&mut steps).unwrap();
        assert!((steps.learning_rate() - wanted).abs() < 1e-12, "{}", steps.learning_rate());
    }
    let error = step(&mut trainer(model(), config("cosine"))).unwrap_err().to_string();
    assert!(error.contains("steps_per_epoch: expected the number of steps"), "{error}");
}

#[test]
fn a_step_uses_the_rate_of_its_schedule() {
    // The gradient of a bias does not depend on the rate of the first step.
    let moved = |schedule: &str| {
        let mut trainer = trainer(model(), config(schedule));
        let before = trainer.parameter("fc1.bias").unwrap();
        step(&mut trainer).unwrap();
        trainer.parameter("fc1.bias").unwrap()[0] - before[0]
    };
    let (whole, half) = (moved("constant"), moved("warmup:2:0.5@step"));
    assert!((half / whole - 0.5).abs() < 1e-5, "{half} {whole}");
}

#[test]
fn a_loop_of_ones_own_is_resumed_in_its_schedule() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainerConfig { epochs: 4, steps_per_epoch: Some(2), ..config("step:1:0.5") };
    let mut whole = trainer(model(), config.clone());
    let mut first = trainer(model(), config);
    for _ in 0..3 {
        step(&mut whole).unwrap();
        step(&mut first).unwrap();
    }
    first.save(root.path()).unwrap();
    let loaded = onestep_trainer::TrainerBuilder::load(root.path()).unwrap();
    let mut resumed = loaded.executor(executor()).build().unwrap();
    for _ in 0..3 {
        let (one, other) = (step(&mut whole).unwrap(), step(&mut resumed).unwrap());
        assert_eq!((one, whole.learning_rate()), (other, resumed.learning_rate()));
    }
    assert_eq!(whole.snapshot().unwrap(), resumed.snapshot().unwrap());
}

#[test]
fn the_learning_rate_can_be_set() {
    for schedule in ["constant", "reduce_on_plateau:0.5:0"] {
        let mut trainer = trainer(model(), config(schedule));
        trainer.set_learning_rate(0.3).unwrap();
        assert_eq!(trainer.learning_rate(), 0.3);
        step(&mut trainer).unwrap();
        trainer.set_learning_rate(0.2).unwrap();
        assert_eq!(trainer.learning_rate(), 0.2);
        assert!(!trainer.observe(1.0).unwrap());
        let reduced = trainer.observe(2.0).unwrap();
        let wanted = if schedule == "constant" { (false, 0.2) } else { (true, 0.1) };
        assert_eq!((reduced, trainer.learning_rate()), wanted, "{schedule}");
        assert!(trainer.set_learning_rate(f64::NAN).is_err());
    }
    let error = trainer(model(), config("one_cycle:1.0")).set_learning_rate(0.1).unwrap_err();
    assert!(error.to_string().contains("max_lr"), "{error}");
}

#[test]
fn gradients_are_there_after_validation_and_prediction() {
    let config = TrainerConfig { keep_gradients: true, ..config("constant") };
    let make = || Trainer::builder(model()).config(config.clone()).executor(cpu()).build().unwrap();
    let mut with = make();
    with.fit(quadrants(16), Some(quadrants(24)), &mut []).unwrap();
    let mut without = make();
    without.fit(quadrants(16), None, &mut []).unwrap();
    assert_eq!(with.gradient("fc1.weight").unwrap(), without.gradient("fc1.weight").unwrap());
    assert_eq!(with.output().unwrap(), without.output().unwrap());
    without.predict(&[0.0, 1.0]).unwrap();
    without.evaluate(quadrants(8)).unwrap();
    assert_eq!(with.gradient("fc1.bias").unwrap(), without.gradient("fc1.bias").unwrap());
    step(&mut with).unwrap();
    assert_ne!(with.gradient("fc1.bias").unwrap(), without.gradient("fc1.bias").unwrap());
    assert!(with.gradient("fc9.weight").is_err());
}

/// Three classes, the last of which is rare, so that some batches of few samples have no other.
fn rare(samples: usize) -> Arc<dyn Dataset> {
    let inputs: Vec<f32> = (0..2 * samples).map(noise).collect();
    let labels = (0..samples as i32).map(|i| if i % 7 == 0 { 2 } else { i % 2 }).collect();
    let classes = TargetSpec::classes(3);
    Arc::new(InMemory::classification("rare", Shape::from([2]), inputs, labels, classes).unwrap())
}

#[test]
fn the_loss_of_a_data_set_does_not_depend_on_its_batches() {
    for (loss, outputs) in [
        (r#"{"type": "cross_entropy", "weight": [0.2, 3.0, 0.0]}"#, 3),
        (r#"{"type": "cross_entropy", "weight": [0.2, 3.0, 1.0], "label_smoothing": 0.1}"#, 3),
        (r#"{"type": "cross_entropy", "reduction": "sum"}"#, 3),
        (r#"{"type": "cross_entropy", "weight": [0.2, 3.0, 1.0], "reduction": "sum"}"#, 3),
        (r#"{"type": "mse", "reduction": "sum"}"#, 1),
        (r#"{"type": "huber", "reduction": "sum"}"#, 1),
        ("cross_entropy", 3),
        ("mae", 1),
    ] {
        let data = if outputs == 3 { rare(29) } else { plane(29) };
        // The learning rate is 0, so that training sees the same as evaluation.
        let losses = |batch_size: usize| {
            let config = TrainerConfig {
                epochs: 1,
                batch_size,
                optimizer: sgd(0.0),
                loss: loss.parse().unwrap(),
                ..small_config()
            };
            let mut trainer = trainer(factory::mlp([2], &[], outputs), config);
            let evaluated = trainer.evaluate(data.clone()).unwrap().metrics.loss;
            if loss.contains("0.0") {
                // A batch of nothing but the class without weight cannot be trained on.
                return [evaluated; 3];
            }
            let history = trainer.fit(data.clone(), Some(data.clone()), &mut []).unwrap();
            let epoch = history.last().unwrap();
            [evaluated, epoch.train.loss, epoch.validation.clone().unwrap().loss]
        };
        let whole = losses(29)[0];
        for batch_size in [29, 8, 5, 1] {
            for got in losses(batch_size) {
                let relative = (got - whole).abs() / whole.abs();
                assert!(relative < 1e-5, "{loss}, batches of {batch_size}: {got}, {whole}");
            }
        }
    }
}
