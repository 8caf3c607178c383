//! Checkpoints: exact resumption, and what happens to broken ones.

mod support;

use std::fs;
use std::path::Path;

use onestep_layers::ModelBuilder;
use onestep_trainer::{
    Callback, Checkpoints, EarlyStoppingConfig, Trainer, TrainerBuilder, TrainerConfig,
    TrainerError, checkpoint,
};
use support::{StopAt, cpu, executor, halves, small_config, stateful_model, trainer};

/// Dropout, batch normalisation, shuffling, augmentation, momentum, clipping: all that has a past.
fn config(schedule: &str) -> TrainerConfig {
    TrainerConfig {
        epochs: 3,
        schedule: schedule.parse().unwrap(),
        optimizer: "adamw".parse().unwrap(),
        clip: Some(onestep_optimizer::Clip::Norm(1.0)),
        augmentation: "crop=1,flip=0.5".into(),
        seed: 11,
        // Nothing stops early, but what is remembered must survive, the best parameters included.
        early_stopping: Some(EarlyStoppingConfig { patience: 99, ..Default::default() }),
        ..small_config()
    }
}

fn state_of(trainer: &mut Trainer, folder: &Path) -> Vec<u8> {
    trainer.save(folder).unwrap();
    fs::read(folder.join(checkpoint::STATE)).unwrap()
}

type MakeExecutor = fn() -> Box<dyn onestep_engine::Executor>;

/// Trains with and without an interruption, and compares every bit.
fn resume(make: MakeExecutor, schedule: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let trainer = || {
        let builder = Trainer::builder(stateful_model()).config(config(schedule));
        builder.executor(make()).build().unwrap()
    };
    let fit = |trainer: &mut Trainer, callbacks: &mut [&mut dyn Callback]| {
        trainer.fit(halves(36), Some(halves(20)), callbacks).unwrap()
    };
    let mut whole = trainer();
    let whole_history = fit(&mut whole, &mut []);

    // 36 samples are five batches of 8: step 8 lies in the second epoch.
    let mut killed = trainer();
    let mut checkpoints = Checkpoints::new(path("last")).every_steps(4);
    fit(&mut killed, &mut [&mut checkpoints, &mut StopAt(9)]);
    drop(killed);

    let loaded = TrainerBuilder::load(path("last")).unwrap();
    let mut resumed = loaded.executor(make()).build().unwrap();
    assert_eq!((resumed.progress().epoch, resumed.progress().batch), (1, 3));
    assert_eq!(resumed.progress().step, 8);
    let history = fit(&mut resumed, &mut []);
    assert_eq!(history.steps, 7);
    assert!(
        state_of(&mut resumed, &path("a")) == state_of(&mut whole, &path("b")),
        "{schedule}: the states differ"
    );
    for (one, other) in history.epochs.iter().zip(&whole_history.epochs) {
        assert_eq!((&one.train, &one.validation), (&other.train, &other.validation), "{schedule}");
        assert_eq!(one.learning_rate, other.learning_rate, "{schedule}");
    }
    let memory =
        |trainer: &Trainer| trainer.recall::<serde_json::Value>("early_stopping").unwrap().unwrap();
    assert_eq!(memory(&resumed), memory(&whole), "{schedule}");
}

#[test]
fn resuming_in_the_middle_of_an_epoch_is_exact() {
    for make in [executor, cpu] {
        for schedule in ["constant", "one-cycle", "cosine", "reduce-on-plateau:0.5:0"] {
            resume(make, schedule);
        }
    }
}

/// A checkpoint of a trained model.
fn saved(folder: &Path) -> Trainer {
    let mut trainer = trainer(stateful_model(), small_config());
    trainer.fit(halves(16), None, &mut []).unwrap();
    trainer.save(folder).unwrap();
    trainer
}

#[test]
fn a_checkpoint_of_another_model_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    saved(&folder);
    let other = ModelBuilder::new([1, 4, 4]).name("other").flatten("f").dense(2, true, "fc").spec();
    let mut trainer = trainer(other, small_config());
    let before = trainer.snapshot().unwrap();
    let error = trainer.restore(&folder).unwrap_err();
    assert!(matches!(error, TrainerError::OtherModel { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("`other`") && text.contains("`stateful`"), "{text}");
    let error = trainer.load_weights(folder.join(checkpoint::WEIGHTS)).unwrap_err().to_string();
    assert!(error.contains("tensor `"), "{error}");
    assert_eq!(trainer.snapshot().unwrap(), before);
}

#[test]
fn weights_can_be_taken_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let mut first = saved(&folder);
    let mut second = trainer(stateful_model(), TrainerConfig { seed: 5, ..small_config() });
    assert_ne!(first.snapshot().unwrap(), second.snapshot().unwrap());
    second.load_weights(folder.join(checkpoint::WEIGHTS)).unwrap();
    assert_eq!(first.snapshot().unwrap(), second.snapshot().unwrap());
    let bytes = fs::read(folder.join(checkpoint::WEIGHTS)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<String> = file.names().iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    let wanted = [
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.weight",
        "fc1.bias",
        "fc1.weight",
        "fc2.bias",
        "fc2.weight",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn a_state_that_is_not_finite_is_not_saved() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let mut trainer = saved(&folder);
    let before = fs::read(folder.join(checkpoint::STATE)).unwrap();
    trainer.set_parameter("fc2.bias", &[0.0, f32::NAN]).unwrap();
    let error = trainer.save(&folder).unwrap_err();
    assert!(matches!(&error, TrainerError::BadState { tensor, .. } if tensor == "fc2.bias"));
    assert_eq!(fs::read(folder.join(checkpoint::STATE)).unwrap(), before);
}

#[test]
fn the_middle_of_an_epoch_belongs_to_its_data() {
    let mut trainer = trainer(stateful_model(), small_config());
    trainer.fit(halves(36), None, &mut [&mut StopAt(2)]).unwrap();
    let error = trainer.fit(halves(40), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("36 samples of halves") && error.contains("40 samples"), "{error}");
    trainer.fit(halves(36), None, &mut []).unwrap();
}
