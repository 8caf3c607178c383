//! Which weights a run leaves, a checkpoint holds, and training goes on from.

mod support;

use std::fs;
use std::path::Path;

use onestep_trainer::{
    Callback, Checkpoints, EarlyStoppingConfig, EpochRecord, Flow, Monitor, RunView, Stop, Trainer,
    TrainerBuilder, TrainerConfig, TrainerError, Weights, checkpoint,
};
use support::{StopAt, executor, quadrants, small_config, trainer};

fn model() -> onestep_layers::ModelSpec {
    onestep_trainer::factory::mlp([2], &[4], 2)
}

/// At this learning rate the loss jumps about, so that the best epoch is not the last.
fn jumpy(epochs: usize, patience: usize) -> TrainerConfig {
    let optimizer = "sgd".parse::<onestep_optimizer::OptimizerSpec>().unwrap().with_lr(4.0);
    TrainerConfig {
        epochs,
        optimizer,
        early_stopping: Some(EarlyStoppingConfig { patience, ..Default::default() }),
        ..small_config()
    }
}

fn fit(trainer: &mut Trainer, callbacks: &mut [&mut dyn Callback]) -> onestep_trainer::History {
    trainer.fit(quadrants(32), Some(quadrants(24)), callbacks).unwrap()
}

fn load(folder: &Path) -> TrainerBuilder {
    TrainerBuilder::load(folder).unwrap().executor(executor())
}

fn validation_loss(trainer: &mut Trainer) -> f64 {
    trainer.evaluate(quadrants(24)).unwrap().metrics.loss
}

/// The whole state and the best, as files.
fn files(folder: &Path) -> [Vec<u8>; 2] {
    [checkpoint::STATE, checkpoint::BEST].map(|name| fs::read(folder.join(name)).unwrap())
}

/// Asks for an end after an epoch.
struct StopAfter(usize);

impl Callback for StopAfter {
    fn name(&self) -> &str {
        "stop_after"
    }
    fn on_epoch_end(
        &mut self,
        _: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        Ok(if epoch.epoch == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

#[test]
fn an_interruption_leaves_the_state_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let mut whole = trainer(model(), jumpy(12, 99));
    let wanted = fit(&mut whole, &mut [&mut Checkpoints::new(path("whole"))]);
    // In the middle of an epoch and at the end of one: four steps each.
    let interruptions: [&mut dyn Callback; 2] = [&mut StopAt(30), &mut StopAfter(9)];
    for interruption in interruptions {
        let mut first = trainer(model(), jumpy(12, 99));
        let history = fit(&mut first, &mut [&mut *interruption]);
        assert!(matches!(history.stop, Stop::Callback { .. }), "{:?}", history.stop);
        assert_eq!(first.weights(), Weights::Last);
        first.save(path("cut")).unwrap();
        assert!(path("cut").join(checkpoint::BEST).is_file());
        let mut resumed = load(&path("cut")).build().unwrap();
        let history = fit(&mut resumed, &mut [&mut Checkpoints::new(path("resumed"))]);
        assert_eq!(history.stop, Stop::Completed);
        let losses = |h: &onestep_trainer::History| -> Vec<_> {
            h.epochs.iter().map(|epoch| (epoch.train.clone(), epoch.validation.clone())).collect()
        };
        assert_eq!(losses(&history), losses(&wanted));
        assert!(files(&path("resumed")) == files(&path("whole")));
    }
}

#[test]
fn a_folder_has_one_answer_after_early_stopping() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let mut stopped = trainer(model(), jumpy(60, 3));
    let history = fit(&mut stopped, &mut [&mut Checkpoints::new(&folder)]);
    assert_eq!(history.stop, Stop::EarlyStopping);
    let best = history.best(&Monitor::default()).unwrap().validation.as_ref().unwrap().loss;
    let last = history.last().unwrap().validation.clone().unwrap().loss;
    assert!(best < last);
    assert_eq!((stopped.weights(), validation_loss(&mut stopped)), (Weights::Best, best));

    // What evaluates, predicts, or takes the weights alone: the best.
    let weights = root.path().join("weights.safetensors");
    stopped.save_weights(&weights).unwrap();
    assert_eq!(fs::read(&weights).unwrap(), fs::read(folder.join(checkpoint::WEIGHTS)).unwrap());
    let mut loaded = load(&folder).build().unwrap();
    assert_eq!((loaded.weights(), validation_loss(&mut loaded)), (Weights::Best, best));
    let mut other = trainer(model(), small_config());
    other.load_weights(&weights).unwrap();
    assert_eq!(validation_loss(&mut other), best);
    // The last step's, where they are asked for.
    let mut asked = load(&folder).weights(Weights::Last).build().unwrap();
    assert_eq!((asked.weights(), validation_loss(&mut asked)), (Weights::Last, last));
    asked.use_weights(Weights::Best).unwrap();
    assert_eq!(validation_loss(&mut asked), best);
}

#[test]
fn a_stopped_run_goes_on_from_its_last_step() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let mut stopped = trainer(model(), jumpy(60, 3));
    let epochs = fit(&mut stopped, &mut [&mut Checkpoints::new(path("last"))]).epochs.len() + 4;
    let mut whole = trainer(model(), jumpy(epochs, 99));
    fit(&mut whole, &mut [&mut Checkpoints::new(path("whole"))]);
    let more = |config: &mut TrainerConfig| *config = jumpy(epochs, 99);

    // From the checkpoint, whichever weights are asked for, and saved once more on the way.
    for weights in [Weights::Last, Weights::Best] {
        let mut resumed = load(&path("last")).configure(more).weights(weights).build().unwrap();
        resumed.save(path("again")).unwrap();
        let mut resumed = load(&path("again")).build().unwrap();
        assert_eq!(resumed.weights(), weights);
        fit(&mut resumed, &mut [&mut Checkpoints::new(path("resumed"))]);
        assert!(files(&path("resumed")) == files(&path("whole")), "{weights:?}");
    }
    // In memory, with its patience of 3: one epoch more.
    let done = stopped.epochs().len();
    stopped.set_epochs(done + 1).unwrap();
    fit(&mut stopped, &mut []);
    let record = &stopped.epochs()[done];
    assert_eq!(record.train, whole.epochs()[done].train);
}

#[test]
fn weights_that_are_set_are_what_training_goes_on_from() {
    let mut stopped = trainer(model(), jumpy(60, 3));
    fit(&mut stopped, &mut []);
    let best = stopped.snapshot().unwrap();
    stopped.restore_snapshot(&best).unwrap();
    assert_eq!(stopped.weights(), Weights::Last);
    let error = trainer(model(), small_config()).use_weights(Weights::Best).unwrap_err();
    assert!(error.to_string().contains("weights: expected last: there is no best"), "{error}");
}
