//! The trainer on the Metal executor: digits are learned, a run resumes exactly where it was cut
//! off, and a schedule never compiles anew.

mod support;

use std::sync::Arc;

use onestep_backend_metal::{MetalDevice, MetalExecutor, MetalOptions};
use onestep_data::{DataSplits, open};
use onestep_layers::{ModelBuilder, ModelSpec};
use onestep_optimizer::OptimizerSpec;
use onestep_trainer::{
    Callback, Checkpoints, Flow, RunView, Snapshot, StepEvent, Trainer, TrainerConfig, TrainerError,
};
use support::{PATHS, Result, on};

/// Small enough for plain loops, with everything that a checkpoint must keep.
fn model() -> ModelSpec {
    ModelBuilder::new([1, 8, 8])
        .name("digits")
        .conv2d(8, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1")
        .max_pool2d(2, "pool1")
        .flatten("flatten")
        .dropout(0.1, "dropout")
        .dense(10, true, "fc")
        .spec()
}

fn config(schedule: &str) -> Result<TrainerConfig> {
    Ok(TrainerConfig {
        epochs: 2,
        batch_size: 64,
        optimizer: "adam".parse::<OptimizerSpec>()?.with_lr(2e-2),
        schedule: schedule.parse()?,
        ..TrainerConfig::default()
    })
}

fn trainer(options: &MetalOptions, config: TrainerConfig) -> Result<(Trainer, Arc<MetalDevice>)> {
    let metal = MetalExecutor::new(options)?;
    let device = Arc::clone(metal.device());
    let trainer = Trainer::builder(model()).config(config).executor(Box::new(metal)).build()?;
    Ok((trainer, device))
}

/// Cuts a run off after a step.
struct StopAt(u64);

impl Callback for StopAt {
    fn name(&self) -> &str {
        "stop_at"
    }

    fn on_step(
        &mut self,
        _: &mut RunView<'_>,
        step: &StepEvent,
    ) -> std::result::Result<Flow, TrainerError> {
        Ok(if step.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

#[test]
fn the_digits_are_learned() -> Result<()> {
    let DataSplits { train, validation, .. } = open("digits")?;
    for path in PATHS {
        let (mut trainer, _) =
            trainer(&on(path), TrainerConfig { epochs: 1, ..config("one_cycle")? })?;
        let history = trainer.fit(train.clone(), Some(validation.clone()), &mut [])?;
        let metrics = history.last().and_then(|e| e.validation.as_ref()).ok_or("no validation")?;
        let accuracy = metrics.accuracy().ok_or("no accuracy")?;
        println!("{}, {path:?}: {:.1} % after one epoch", trainer.device_name(), 100.0 * accuracy);
        assert!(accuracy > 0.85, "{path:?}: {accuracy}");
        assert!(f64::from(history.first_loss.ok_or("no loss")?) > 2.0 * metrics.loss);
        assert_eq!(history.per_step.native_calls, 1.0);
        let predicted = trainer.predict_dataset(validation.clone())?;
        assert_eq!(predicted.rows().count(), validation.len());
    }
    Ok(())
}

#[test]
fn schedules_do_not_compile_anew() -> Result<()> {
    let data = open("digits")?;
    for schedule in ["one_cycle", "cosine", "step:1:0.5", "warmup:5+exponential:0.9"] {
        let (mut trainer, device) = trainer(&MetalOptions::default(), config(schedule)?)?;
        trainer.fit(data.train.clone(), None, &mut [])?;
        // The step for a full batch and for the last one of an epoch.
        assert_eq!(device.statistics()?.compilations, 2, "{schedule}");
    }
    Ok(())
}

#[test]
fn a_run_resumes_bit_for_bit() -> Result<()> {
    let data = open("digits")?;
    let fit = |trainer: &mut Trainer, callbacks: &mut [&mut dyn Callback]| {
        trainer.fit(data.train.clone(), Some(data.validation.clone()), callbacks)
    };
    for path in PATHS {
        let (options, config) = (on(path), config("cosine")?);
        let (mut whole, _) = trainer(&options, config.clone())?;
        fit(&mut whole, &mut [])?;
        let wanted: Snapshot = whole.snapshot()?;

        let folder = tempfile::tempdir()?;
        let checkpoint = folder.path().join("last");
        let (mut killed, _) = trainer(&options, config.clone())?;
        let mut checkpoints = Checkpoints::new(&checkpoint).every_steps(5);
        fit(&mut killed, &mut [&mut checkpoints, &mut StopAt(17)])?;
        drop(killed);

        let metal = MetalExecutor::new(&options)?;
        let mut resumed =
            Trainer::builder(model()).config(config).executor(Box::new(metal)).build()?;
        resumed.restore(&checkpoint)?;
        assert_eq!(resumed.progress().step, 15);
        fit(&mut resumed, &mut [])?;
        assert!(resumed.snapshot()? == wanted, "{path:?}");
    }
    Ok(())
}
