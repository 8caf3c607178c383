//! What the callbacks do around real training.

mod support;

use std::fs;

use onestep_trainer::{
    BestCheckpoint, CurvePlot, EarlyStoppingConfig, EpochRecord, Flow, MetricsCsv, MetricsJson,
    Monitor, RunView, Stop, TrainerBuilder, TrainerConfig, TrainerError,
};
use support::{StopAt, executor, quadrants, small_config, trainer};

fn model() -> onestep_layers::ModelSpec {
    onestep_trainer::factory::mlp([2], &[4], 2)
}

#[test]
fn early_stopping_puts_the_best_parameters_back() {
    // At this learning rate the loss jumps about, so that the best epoch is not the last.
    let optimizer = "sgd".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(4.0);
    let config = TrainerConfig {
        epochs: 60,
        optimizer,
        early_stopping: Some(EarlyStoppingConfig { patience: 3, ..Default::default() }),
        ..small_config()
    };
    let mut trainer = trainer(model(), config);
    let history = trainer.fit(quadrants(32), Some(quadrants(24)), &mut []).unwrap();
    assert_eq!(history.stop, Stop::EarlyStopping);
    let best = history.best(&Monitor::validation("loss")).unwrap();
    assert_eq!(history.epochs.len(), best.epoch + 3);
    let now = trainer.evaluate(quadrants(24)).unwrap().metrics;
    assert_eq!(now, best.validation.clone().unwrap());
}

#[test]
fn patience_is_remembered_across_a_resumption() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainerConfig {
        epochs: 30,
        // Nothing ever improves by so much: two epochs after the first.
        early_stopping: Some(EarlyStoppingConfig {
            patience: 2,
            min_delta: 1e6,
            ..Default::default()
        }),
        ..small_config()
    };
    let mut first = trainer(model(), config);
    let mut last = onestep_trainer::Checkpoints::new(root.path().join("last"));
    // Eight samples are one step: stops after the second epoch.
    first.fit(quadrants(8), None, &mut [&mut last, &mut StopAt(2)]).unwrap();
    let loaded = TrainerBuilder::load(last.folder()).unwrap();
    let mut second = loaded.executor(executor()).build().unwrap();
    let history = second.fit(quadrants(8), None, &mut []).unwrap();
    assert_eq!(history.epochs.len(), 3);
}

#[test]
fn files_tell_the_whole_run() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let mut csv = MetricsCsv::new(path("out/metrics.csv"));
    let mut json = MetricsJson::new(path("out/metrics.json"));
    let mut plot = CurvePlot::new(path("out/curves.svg"));
    let mut best = BestCheckpoint::new(path("out/best")).monitor(Monitor::validation("accuracy"));
    let mut trainer = trainer(model(), TrainerConfig { epochs: 4, ..small_config() });
    let callbacks: &mut [&mut dyn onestep_trainer::Callback] =
        &mut [&mut csv, &mut json, &mut plot, &mut best];
    let history = trainer.fit(quadrants(32), Some(quadrants(16)), callbacks).unwrap();

    let text = fs::read_to_string(path("out/metrics.csv")).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert_eq!(text.lines().next().unwrap(), MetricsCsv::columns(["accuracy"]).join(","));
    let text = fs::read_to_string(path("out/metrics.json")).unwrap();
    assert_eq!(serde_json::from_str::<Vec<EpochRecord>>(&text).unwrap(), history.epochs);
    assert!(fs::read_to_string(path("out/curves.svg")).unwrap().contains("validation"));

    let epoch = history.best(&Monitor::validation("accuracy")).unwrap();
    assert_eq!(best.best(), epoch.validation.as_ref().unwrap().accuracy());
    let loaded = TrainerBuilder::load(path("out/best")).unwrap();
    let mut loaded = loaded.executor(executor()).build().unwrap();
    assert_eq!(loaded.progress().epoch, epoch.epoch);
    assert_eq!(loaded.evaluate(quadrants(16)).unwrap().metrics, epoch.validation.clone().unwrap());
}

#[test]
fn a_callback_may_evaluate_in_the_middle_of_an_epoch() {
    struct Look(usize);
    impl onestep_trainer::Callback for Look {
        fn name(&self) -> &str {
            "look"
        }
        fn on_step(
            &mut self,
            run: &mut RunView<'_>,
            _: &onestep_trainer::StepEvent,
        ) -> Result<Flow, TrainerError> {
            self.0 += run.evaluate(quadrants(8))?.samples as usize;
            self.0 += run.predict(&[0.0; 4])?.rows().count();
            Ok(Flow::Continue)
        }
    }
    let mut look = Look(0);
    let mut watched = trainer(model(), small_config());
    watched.fit(quadrants(32), None, &mut [&mut look]).unwrap();
    assert_eq!(look.0, 8 * 10);
    let mut alone = trainer(model(), small_config());
    alone.fit(quadrants(32), None, &mut []).unwrap();
    assert_eq!(watched.snapshot().unwrap(), alone.snapshot().unwrap());
}
