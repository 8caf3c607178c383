//! What may change when a run goes on, and what is refused by its name.

mod support;

use std::path::Path;

use onestep_layers::ModelSpec;
use onestep_trainer::{
    EarlyStoppingConfig, Monitor, Trainer, TrainerBuilder, TrainerConfig, TrainerError, factory,
};
use support::{StopAt, executor, plane, quadrants, small_config, trainer};

fn model() -> ModelSpec {
    factory::mlp([2], &[4], 2)
}

fn sgd(lr: f64) -> onestep_optimizer::OptimizerSpec {
    "sgd".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(lr)
}

fn config(schedule: &str) -> TrainerConfig {
    let schedule = schedule.parse().unwrap();
    TrainerConfig { epochs: 4, optimizer: sgd(0.08), schedule, ..small_config() }
}

fn rates(trainer: &Trainer) -> Vec<f64> {
    trainer.epochs().iter().map(|epoch| epoch.learning_rate).collect()
}

/// A run of four epochs on 32 samples, saved.
fn saved(folder: &Path, config: TrainerConfig) -> Trainer {
    let mut trainer = trainer(model(), config);
    trainer.fit(quadrants(32), Some(quadrants(8)), &mut []).unwrap();
    trainer.save(folder).unwrap();
    trainer
}

fn resume(folder: &Path, change: impl FnOnce(&mut TrainerConfig)) -> Result<Trainer, TrainerError> {
    TrainerBuilder::load(folder)?.configure(change).executor(executor()).build()
}

#[test]
fn another_batch_size_does_not_bend_the_schedule() {
    let root = tempfile::tempdir().unwrap();
    for (before, after) in [(32, 32), (32, 4), (4, 32)] {
        let config = TrainerConfig { batch_size: before, ..config("step:1:0.5") };
        saved(root.path(), config);
        let mut resumed = resume(root.path(), |config| {
            (config.epochs, config.batch_size) = (6, after);
        })
        .unwrap();
        resumed.fit(quadrants(32), None, &mut []).unwrap();
        assert_eq!(rates(&resumed), [0.08, 0.04, 0.02, 0.01, 0.005, 0.0025], "{before}, {after}");
        // And once more from there, back to the first size.
        resumed.save(root.path()).unwrap();
        let mut again = resume(root.path(), |config| {
            (config.epochs, config.batch_size) = (7, before);
        })
        .unwrap();
        again.fit(quadrants(32), None, &mut []).unwrap();
        assert_eq!(rates(&again).last(), Some(&0.00125), "{before}, {after}");
    }
}

#[test]
fn another_learning_rate_applies() {
    let root = tempfile::tempdir().unwrap();
    for schedule in ["constant", "reduce_on_plateau:0.1:0"] {
        saved(root.path(), config(schedule));
        let mut resumed = resume(root.path(), |config| {
            (config.epochs, config.optimizer) = (5, sgd(0.3));
        })
        .unwrap();
        assert!(resumed.check_fit(&quadrants(32), None).is_ok());
        resumed.fit(quadrants(32), Some(quadrants(8)), &mut []).unwrap();
        assert_eq!(rates(&resumed)[4], 0.3, "{schedule}");
    }
    saved(root.path(), config("one_cycle:0.1"));
    let error = resume(root.path(), |config| config.optimizer = sgd(0.3)).unwrap_err().to_string();
    assert!(error.contains("lr: expected left as it is") && error.contains("max_lr"), "{error}");
}

/// What a refusal must say, and the change of settings that it is of.
type Refused = (&'static str, fn(&mut TrainerConfig));

#[test]
fn what_cannot_apply_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    saved(root.path(), config("constant"));
    let change: [Refused; 3] = [
        ("seed: expected 0, with which the run began", |config| config.seed = 7),
        ("epochs: expected at least 4, which are done, got 3", |config| config.epochs = 3),
        ("optimizer: expected sgd", |config| config.optimizer = "adam".parse().unwrap()),
    ];
    for (wanted, change) in change {
        let error = resume(root.path(), change).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let mut resumed = resume(root.path(), |config| config.epochs = 6).unwrap();
    let error = resumed.set_epochs(3).unwrap_err().to_string();
    assert!(error.contains("epochs: expected at least 4"), "{error}");

    let mut cut = trainer(model(), config("constant"));
    cut.fit(quadrants(32), None, &mut [&mut StopAt(6)]).unwrap();
    cut.save(root.path()).unwrap();
    let change: [Refused; 3] = [
        ("batch_size: expected 8 until the epoch", |config| config.batch_size = 4),
        ("shuffle: expected true until the epoch", |config| config.shuffle = false),
        ("drop_last: expected false until the epoch", |config| config.drop_last = true),
    ];
    for (wanted, change) in change {
        let error = resume(root.path(), change).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn another_schedule_begins_where_the_run_stands() {
    let root = tempfile::tempdir().unwrap();
    for (before, after) in [("reduce_on_plateau", "cosine"), ("cosine", "reduce_on_plateau")] {
        saved(root.path(), config(before));
        let mut resumed = resume(root.path(), |config| {
            (config.epochs, config.schedule) = (8, after.parse().unwrap());
        })
        .unwrap();
        resumed.fit(quadrants(32), Some(quadrants(8)), &mut []).unwrap();
        let wanted = if after == "cosine" { 0.04 } else { 0.08 };
        assert!((rates(&resumed)[4] - wanted).abs() < 1e-12, "{:?}", rates(&resumed));
    }
}

#[test]
fn another_monitor_forgets_the_old_figures() {
    let root = tempfile::tempdir().unwrap();
    let early_stopping = Some(EarlyStoppingConfig { patience: 99, ..Default::default() });
    let config = TrainerConfig { early_stopping, ..config("reduce_on_plateau:0.1:0") };
    saved(root.path(), config);
    let resumed =
        resume(root.path(), |config| config.monitor = Monitor::train("accuracy")).unwrap();
    let memory = resumed.recall::<serde_json::Value>("early_stopping").unwrap();
    assert_eq!(memory, None, "a loss is no measure of an accuracy");
    let resumed = resume(root.path(), |config| config.epochs = 9).unwrap();
    assert!(resumed.recall::<serde_json::Value>("early_stopping").unwrap().is_some());
}

#[test]
fn a_plateau_follows_its_monitor() {
    for (monitor, schedule) in [
        (Monitor::validation("accuracy"), "reduce_on_plateau:0.5:0"),
        (Monitor::train("accuracy"), "warmup:1+reduce_on_plateau:0.5:0"),
        (Monitor::validation("loss"), "reduce_on_plateau:0.5:0"),
    ] {
        let config = TrainerConfig { epochs: 12, monitor: monitor.clone(), ..config(schedule) };
        let mut trainer = trainer(model(), config);
        trainer.fit(quadrants(64), Some(quadrants(64)), &mut []).unwrap();
        let epochs = trainer.epochs();
        let mut best = None;
        for (one, next) in epochs.iter().zip(&epochs[1..]) {
            let value = one.figure(&monitor).unwrap();
            let better = monitor.improves(value, best, 0.0);
            // A relative threshold of 1e-4 makes no difference here.
            let cut = next.learning_rate < one.learning_rate;
            assert_eq!(cut, !better, "{monitor}, epoch {}", one.epoch);
            best = if better { Some(value) } else { best };
        }
    }
    let mut wrong = config("constant");
    wrong.monitor = Monitor::validation("accuracy");
    wrong.schedule =
        serde_json::from_str(r#"{"type": "reduce_on_plateau", "mode": "min"}"#).unwrap();
    let error = trainer(model(), wrong).fit(quadrants(8), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("schedule.mode") && error.contains("Max"), "{error}");
}

#[test]
fn early_stopping_watches_the_monitor_of_the_run() {
    let early_stopping = Some(EarlyStoppingConfig { patience: 3, ..Default::default() });
    let monitor = Monitor::train("accuracy");
    let config = TrainerConfig {
        epochs: 60,
        early_stopping,
        monitor: monitor.clone(),
        ..config("constant")
    };
    let mut trainer = trainer(model(), config);
    let history = trainer.fit(quadrants(32), None, &mut []).unwrap();
    let best = history.best(&monitor).unwrap();
    assert_eq!(history.epochs.len(), (best.epoch + 3).min(60));
}

#[test]
fn a_figure_that_will_not_be_there_is_refused_before_training() {
    let regression = TrainerConfig { loss: "mse".parse().unwrap(), ..config("constant") };
    let stopping = EarlyStoppingConfig {
        monitor: Some(Monitor::train("accuracy")),
        ..EarlyStoppingConfig::default()
    };
    for config in [
        TrainerConfig { monitor: Monitor::validation("accuracy"), ..regression.clone() },
        TrainerConfig { early_stopping: Some(stopping), ..regression.clone() },
    ] {
        let mut trainer = trainer(factory::mlp([2], &[], 1), config);
        let error = trainer.fit(plane(16), Some(plane(8)), &mut []).unwrap_err().to_string();
        assert!(error.contains("monitor: expected a figure that the loss mse has"), "{error}");
        assert_eq!(trainer.progress().step, 0);
    }
    let root = tempfile::tempdir().unwrap();
    let best = onestep_trainer::BestCheckpoint::new(root.path().join("best"));
    let mut best = best.monitor(Monitor::validation("accuracy"));
    let mut trainer = trainer(factory::mlp([2], &[], 1), regression);
    let error = trainer.fit(plane(16), None, &mut [&mut best]).unwrap_err().to_string();
    assert!(error.contains("monitor"), "{error}");
}

#[test]
fn what_is_hardly_meant_is_warned_of_with_its_numbers() {
    let train = quadrants(32);
    for (schedule, wanted) in [
        ("warmup:50:0.1", "the warm-up takes 50 epochs, but the run has 4"),
        ("step:30@step", "first changes after 30 steps, but the run has 16"),
        ("reduce_on_plateau", "there is no validation data"),
    ] {
        let trainer = trainer(model(), config(schedule));
        let warnings = trainer.check_fit(&train, None).unwrap();
        assert!(warnings.iter().any(|text| text.contains(wanted)), "{schedule}: {warnings:?}");
    }
    let plain = trainer(model(), config("cosine"));
    assert_eq!(plain.check_fit(&train, None).unwrap(), [""; 0]);
}
