//! Bad input of every kind ends in an error that says what was wrong.

mod support;

use std::fs;
use std::sync::Arc;

use onestep_data::{
    DataError, Dataset, Fields, InMemory, SampleMut, SimpleDataset, TargetMut, TargetSpec,
};
use onestep_memory::Shape;
use onestep_optimizer::OptimizerSpec;
use onestep_trainer::{
    Callback, Checkpoints, CurvePlot, Flow, MetricsCsv, MetricsJson, RunView, StepEvent, Trainer,
    TrainerConfig, TrainerError, checkpoint, factory,
};
use support::{executor, halves, plane, quadrants, small_config, stateful_model, trainer};

/// The quadrants with one sample spoiled.
struct Spoiled {
    good: Arc<dyn Dataset>,
    sample: usize,
    label: Option<i32>,
}

impl Dataset for Spoiled {
    fn name(&self) -> &str {
        "spoiled"
    }
    fn len(&self) -> usize {
        self.good.len()
    }
    fn fields(&self) -> Fields {
        self.good.fields()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        self.good.read(index, sample)?;
        let (input, target) = sample.pair()?;
        match self.label {
            Some(label) if index == self.sample => return target.set_label(label),
            None if index == self.sample => input[1] = f32::NAN,
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn a_wrong_label_is_named_before_it_reaches_the_device() {
    for label in [-1, 2, i32::MAX] {
        let data = Spoiled { good: quadrants(40), sample: 13, label: Some(label) };
        let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
        let error = trainer.fit(Arc::new(data), None, &mut []).unwrap_err().to_string();
        let wanted = format!("sample 13: expected a label from 0 to 1, got {label}");
        assert!(error.contains(&wanted), "{error}");
        assert!(trainer.snapshot().is_ok());
    }
    let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
    let error = trainer.train_batch(&[0.0; 6], &[0, 1, 2]).unwrap_err().to_string();
    assert_eq!(error, "sample 2 of the batch: expected a label from 0 to 1, got 2");
}

#[test]
fn a_sample_that_is_not_finite_is_found_and_the_last_checkpoint_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let mut trainer = trainer(
        factory::mlp([2], &[4], 2),
        TrainerConfig { epochs: 5, shuffle: false, ..small_config() },
    );
    let mut checkpoints = Checkpoints::new(&folder).every_steps(2);
    // Sample 29 is in the fourth batch of 8.
    let data = Spoiled { good: quadrants(40), sample: 29, label: None };
    let error = trainer.fit(Arc::new(data), None, &mut [&mut checkpoints]).unwrap_err();
    let text = error.to_string();
    let TrainerError::NonFinite { epoch, step, loss, last_good, .. } = error else {
        panic!("{text}")
    };
    assert_eq!((epoch, step, loss.is_nan()), (1, 4, true));
    assert!(text.contains("sample 29 of spoiled has a value that is not finite"), "{text}");
    assert_eq!(last_good.as_deref(), Some(folder.as_path()));
    assert!(text.contains("the last good checkpoint is"), "{text}");

    trainer.restore(&folder).unwrap();
    assert_eq!(trainer.progress().step, 2);
    trainer.fit(quadrants(40), None, &mut []).unwrap_err();
    trainer.restore(&folder).unwrap();
    let whole = Spoiled { good: quadrants(40), sample: usize::MAX, label: None };
    let history = trainer.fit(Arc::new(whole), None, &mut []).unwrap();
    assert_eq!(history.epochs.len(), 5);
}

#[test]
fn a_diverging_run_says_where() {
    let optimizer = "sgd".parse::<OptimizerSpec>().unwrap().with_lr(1e30);
    let config = TrainerConfig { optimizer, loss: "mse".parse().unwrap(), ..small_config() };
    let mut trainer = trainer(factory::mlp([2], &[4], 1), config);
    let text = trainer.fit(plane(40), None, &mut []).unwrap_err().to_string();
    assert!(text.contains("in epoch 1, step ") && text.contains("is not finite by now"), "{text}");
    assert!(text.contains("no checkpoint was written before"), "{text}");
}

#[test]
fn validation_that_is_not_finite_stops_too() {
    let data = Spoiled { good: quadrants(16), sample: 3, label: None };
    let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
    let error = trainer.fit(quadrants(16), Some(Arc::new(data)), &mut []).unwrap_err().to_string();
    assert!(error.contains("on the validation data"), "{error}");
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let fit = |model, loss: &str, data: Arc<dyn Dataset>| {
        let config = TrainerConfig { loss: loss.parse().unwrap(), ..small_config() };
        trainer(model, config).fit(data, None, &mut []).unwrap_err().to_string()
    };
    let mlp = |outputs| factory::mlp([2], &[], outputs);
    for (error, wanted) in [
        (fit(mlp(2), "cross_entropy", halves(8)), "halves: input: expected samples of [2]"),
        (fit(mlp(2), "cross_entropy", plane(8)), "plane: target: expected class labels"),
        (fit(mlp(1), "mse", quadrants(8)), "quadrants: target: expected values of [1] for the"),
        (fit(mlp(3), "mse", plane(8)), "plane: target: expected values of [3]"),
        (fit(mlp(1), "cross_entropy", quadrants(8)), "quadrants: classes: expected at most 1"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    let empty = Spoiled { good: Arc::new(Nothing), sample: 0, label: None };
    let error = fit(mlp(2), "cross_entropy", Arc::new(empty));
    assert!(error.contains("at least one sample"), "{error}");
}

/// A data set without samples.
struct Nothing;

impl SimpleDataset for Nothing {
    fn name(&self) -> &str {
        "nothing"
    }
    fn len(&self) -> usize {
        0
    }
    fn input_shape(&self) -> Shape {
        Shape::from([2])
    }
    fn target(&self) -> TargetSpec {
        TargetSpec::classes(2)
    }
    fn read(&self, _: usize, _: &mut [f32], _: TargetMut<'_>) -> Result<(), DataError> {
        Err(DataError::other("there is nothing to read"))
    }
}

#[test]
fn host_data_that_does_not_fit_is_refused() {
    let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
    let error = |result: Result<_, TrainerError>| result.unwrap_err().to_string();
    for (error, wanted) in [
        (error(trainer.train_batch(&[0.0; 3], &[0])), "input: expected one or more samples of [2]"),
        (error(trainer.train_batch(&[0.0; 0], &[0])), "got 0 elements"),
        (error(trainer.train_batch(&[0.0; 4], &[0])), "target: expected [2] for 2 samples"),
        (error(trainer.train_batch(&[0.0; 4], &[0.0; 2])), "target: expected i32"),
        (error(trainer.train_batch(&[0; 4], &[0, 1])), "input: expected f32, got i32"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
    assert!(trainer.predict(&[0.0; 5]).is_err());
    trainer.train_batch(&[0.0; 4], &[0, 1]).unwrap();
    let error = trainer.output().unwrap_err().to_string();
    assert!(error.contains("output"), "{error}");
}

#[test]
fn a_batch_that_batch_norm_cannot_use_is_refused_before_the_first_step() {
    let mut trainer = trainer(stateful_model(), small_config());
    let error = trainer.fit(halves(17), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("bn1") && error.contains("more than one value a channel"), "{error}");
    assert_eq!(trainer.progress().step, 0);
}

/// Notes what it is told of a failure, and saves what there is.
#[derive(Default)]
struct Told {
    name: &'static str,
    error: Option<String>,
    folder: Option<std::path::PathBuf>,
}

impl Callback for Told {
    fn name(&self) -> &str {
        self.name
    }
    fn on_failure(
        &mut self,
        run: &mut RunView<'_>,
        error: &TrainerError,
    ) -> Result<(), TrainerError> {
        self.error = Some(error.to_string());
        if let Some(folder) = &self.folder {
            run.save(folder);
        }
        Err(TrainerError::callback("an error in a failure is logged"))
    }
    fn state(&self) -> Option<serde_json::Value> {
        Some(self.error.clone().into())
    }
    fn restore(&mut self, state: serde_json::Value) -> Result<(), TrainerError> {
        self.error = state.as_str().map(|text| format!("before: {text}"));
        Ok(())
    }
}

#[test]
fn callbacks_are_told_of_failures_and_keep_their_own_state() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("saved");
    let mut told = Told { folder: Some(folder.clone()), ..Told::default() };
    let mut other = Told { name: "other", ..Told::default() };
    let mut first = trainer(factory::mlp([2], &[4], 2), small_config());
    let data = Spoiled { good: quadrants(40), sample: 13, label: Some(7) };
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut told, &mut other];
    let error = first.fit(Arc::new(data), None, callbacks).unwrap_err().to_string();
    assert!(error.contains("expected a label"), "{error}");
    assert_eq!(told.error.as_ref(), Some(&error));
    assert_eq!(other.error.as_ref(), Some(&error));
    // What it keeps is in the checkpoint that it asked for, and comes back.
    let builder = onestep_trainer::TrainerBuilder::load(&folder).unwrap();
    let mut resumed = builder.executor(executor()).build().unwrap();
    let mut told = Told::default();
    resumed.fit(quadrants(40), None, &mut [&mut told]).unwrap();
    assert_eq!(told.error, Some(format!("before: {error}")));
}

#[test]
fn a_callback_that_panics_leaves_a_trainer_that_trains() {
    struct Panicking(u64);
    impl Callback for Panicking {
        fn name(&self) -> &str {
            "panicking"
        }
        fn on_step(&mut self, _: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
            assert_ne!(step.step, self.0, "on purpose");
            Ok(Flow::Continue)
        }
    }
    let fresh = || trainer(factory::mlp([2], &[4], 2), small_config());
    let (mut whole, mut trainer) = (fresh(), fresh());
    let wanted = whole.fit(quadrants(40), None, &mut []).unwrap();
    let mut told = Told::default();
    let callbacks: &mut [&mut dyn Callback] = &mut [&mut told, &mut Panicking(3)];
    let error = trainer.fit(quadrants(40), None, callbacks).unwrap_err().to_string();
    assert!(error.contains("the callback `panicking` panicked"), "{error}");
    assert!(error.contains("on purpose"), "{error}");
    assert_eq!(told.error, Some(error));
    assert_eq!(trainer.progress().step, 3);
    // It goes on where it was, as if nothing had happened.
    let history = trainer.fit(quadrants(40), None, &mut []).unwrap();
    assert_eq!(history.epochs.len(), wanted.epochs.len());
    for (got, wanted) in history.epochs.iter().zip(&wanted.epochs) {
        assert_eq!(got.train, wanted.train);
    }
    assert_eq!(trainer.snapshot().unwrap(), whole.snapshot().unwrap());
}

/// A kernel of the CPU executor that panics leaves half an update behind. After the state has been
/// restored, the trainer trains again, to the bit.
#[test]
fn after_a_kernel_panicked_a_restored_trainer_trains_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let config = || TrainerConfig { threads: 2, ..small_config() };
    let fresh = || Trainer::new(factory::mlp([2], &[4], 2), config()).unwrap();
    let (mut whole, mut broken) = (fresh(), fresh());
    let step = |trainer: &mut Trainer| {
        trainer.train_batch(&[1.0, -1.0, -0.5, 0.5], &[0, 1]).map(|result| result.loss)
    };
    for trainer in [&mut whole, &mut broken] {
        step(trainer).unwrap();
    }
    broken.save(&folder).unwrap();
    onestep_backend_cpu::let_the_next_kernel_panic();
    let error = step(&mut broken).unwrap_err().to_string();
    assert!(error.contains("panicked"), "{error}");
    for _ in 0..2 {
        let refused = step(&mut broken).unwrap_err().to_string();
        assert!(refused.contains("restore the state"), "{refused}");
    }
    broken.restore(&folder).unwrap();
    for _ in 0..3 {
        assert_eq!(step(&mut broken).unwrap().to_bits(), step(&mut whole).unwrap().to_bits());
    }
    assert_eq!(broken.snapshot().unwrap(), whole.snapshot().unwrap());
}

#[test]
fn an_unwritable_place_is_named() {
    let root = tempfile::tempdir().unwrap();
    let blocker = root.path().join("blocker");
    fs::write(&blocker, "a file, not a folder").unwrap();
    let mut checkpoints = Checkpoints::new(blocker.join("last"));
    let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
    let error = trainer.fit(quadrants(8), None, &mut [&mut checkpoints]).unwrap_err().to_string();
    assert!(error.contains("blocker") && error.contains("cannot"), "{error}");
    let missing = Trainer::load(root.path().join("no-such-run")).unwrap_err().to_string();
    assert!(missing.contains("no-such-run") && missing.contains(checkpoint::PROGRESS), "{missing}");
}

#[test]
fn a_file_beside_the_checkpoint_is_not_worth_the_run() {
    let root = tempfile::tempdir().unwrap();
    let blocker = root.path().join("blocker");
    fs::write(&blocker, "a file, not a folder").unwrap();
    let mut csv = MetricsCsv::new(blocker.join("metrics.csv"));
    let mut json = MetricsJson::new(blocker.join("metrics.json"));
    let mut curves = CurvePlot::new(blocker.join("curves.svg"));
    let mut checkpoints = Checkpoints::new(root.path().join("last"));
    let mut trainer = trainer(factory::mlp([2], &[4], 2), small_config());
    let callbacks: &mut [&mut dyn Callback] =
        &mut [&mut csv, &mut json, &mut curves, &mut checkpoints];
    let history = trainer.fit(quadrants(8), None, callbacks).unwrap();
    assert_eq!(history.epochs.len(), 2);
    for failure in [csv.failure(), json.failure(), curves.failure()] {
        assert!(failure.is_some_and(|text| text.contains("blocker")), "{failure:?}");
    }
    assert_eq!(checkpoint::locate(root.path(), &["last"]), root.path().join("last"));
}

#[test]
fn settings_and_devices_are_checked() {
    let build = |config: TrainerConfig| {
        Trainer::builder(factory::mlp([2], &[], 2)).config(config).executor(executor()).build()
    };
    let error = build(TrainerConfig { batch_size: 0, ..small_config() }).unwrap_err().to_string();
    assert_eq!(error, "batch_size: expected at least 1, got 0");
    let config = TrainerConfig { device: "abacus".into(), ..small_config() };
    let error = Trainer::new(factory::mlp([2], &[], 2), config).unwrap_err().to_string();
    assert!(error.starts_with("unknown device `abacus`; expected auto or one of"), "{error}");
    let config = TrainerConfig { drop_last: true, batch_size: 100, ..small_config() };
    let error = build(config).unwrap().fit(quadrants(8), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("batch size"), "{error}");
    let inputs =
        InMemory::regression("r", Shape::from([2]), vec![0.0; 4], Shape::from([1]), vec![0.0; 3]);
    assert!(inputs.is_err());
}
