//! A learner in a folder: the same files as of a whole run.

use std::path::Path;

use onestep_data::DataRecord;
use onestep_engine::Executor;
use onestep_layers::{Model, Registry};
use onestep_optimizer::{Horizon, Optimizer};

use super::Learner;
use crate::TrainerError;
use crate::checkpoint::{self, Checkpoint, Contents, OwnCode, Progress};
use crate::config::TrainerConfig;
use crate::program::TrainingProgram;

impl Learner {
    /// Writes a checkpoint: the model, its losses and optimizer, all state, the step and the learning
    /// rate, the batches of the next update. It has the files of a [`Trainer`](crate::Trainer)'s
    /// ([`checkpoint`](crate::checkpoint)) and replaces an earlier one there when it is complete. No
    /// step may be in flight.
    ///
    /// ```
    /// use onestep_engine::Feeds;
    /// use onestep_layers::ModelBuilder;
    /// use onestep_optimizer::{Optimizer, OptimizerSpec};
    /// use onestep_trainer::{ExecutorOptions, Learner, TrainingProgram, executor};
    ///
    /// let cpu = || executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None });
    /// let model = ModelBuilder::new([2]).dense(1, true, "fc").build()?;
    /// let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?)?;
    /// let mut learner = Learner::new(TrainingProgram::new(model, "mse".parse()?, adam)?, cpu()?, 1)?;
    /// let input = learner.memory().from_slice([2, 2], &[0.0f32, 1.0, 1.0, 0.0])?;
    /// let target = learner.memory().from_slice([2, 1], &[1.0f32, -1.0])?;
    /// let batch = [input, target];
    /// learner.step(Feeds::new(&batch))?.wait()?;
    ///
    /// let folder = tempfile::tempdir()?;
    /// learner.save(folder.path())?;
    /// let mut loaded = Learner::load(folder.path(), cpu()?)?;
    /// assert_eq!(loaded.steps(), 1);
    /// let one = learner.step(Feeds::new(&batch))?.wait()?.loss();
    /// let other = loaded.step(Feeds::new(&batch))?.wait()?.loss();
    /// assert_eq!(one, other);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TrainerError::BadState`] where a tensor is not finite, [`TrainerError::File`] with path and
    /// cause, [`TrainerError::Checkpoint`] where the folder holds something else, and a layer, loss or
    /// metric that is code without a name. The earlier checkpoint is untouched then.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), TrainerError> {
        let (config, own) = self.settings();
        let (epochs, legs) = (self.horizon.epochs(), self.horizon.legs());
        let progress = Progress {
            step: self.steps,
            accumulated: self.accumulated,
            // As text, which comes back to the last bit.
            learning_rate: Some(self.learning_rate.to_string()),
            legs: legs.to_vec(),
            own,
            ..Progress::new(self.seed())
        };
        let epochs = usize::try_from(epochs).unwrap_or(usize::MAX);
        checkpoint::write(
            folder.as_ref(),
            &Contents {
                model: self.program.model().spec(),
                config: &TrainerConfig { epochs, ..config },
                state: self.state(),
                averaged: self.averaged()?.as_ref(),
                last: None,
                progress: &progress,
                callbacks: &Default::default(),
                best: None,
                record: &DataRecord::default(),
            },
        )
    }

    /// The learner of a checkpoint, of its own or of a [`Trainer`](crate::Trainer), at the step at which
    /// it was saved.
    ///
    /// # Errors
    /// [`TrainerError::File`] and [`TrainerError::Checkpoint`] where files are missing or broken, code of
    /// one's own, and those of [`Learner::new`].
    pub fn load(
        folder: impl AsRef<Path>,
        executor: Box<dyn Executor>,
    ) -> Result<Self, TrainerError> {
        Self::load_with(folder, &Registry::new(), executor)
    }

    /// The same with the code of custom layers, losses, optimizers and metrics by their names.
    ///
    /// # Errors
    /// As for [`Learner::load`], and a name that is not registered.
    pub fn load_with(
        folder: impl AsRef<Path>,
        registry: &Registry,
        executor: Box<dyn Executor>,
    ) -> Result<Self, TrainerError> {
        let checkpoint = Checkpoint::read(folder.as_ref())?;
        let model = checkpoint.model()?.resolve(registry)?.compile()?;
        let config = checkpoint.config()?.resolve(registry)?;
        if let Some(rule) = &checkpoint.record.progress.own.optimizer {
            let wanted = format!(
                "`{rule}`, the learner's own update rule: it is code without a name in the settings, so \
                 make the learner with it and use Learner::restore, or register it"
            );
            return Err(TrainerError::option("optimizer", wanted, "none"));
        }
        let program = program_of(model, &config, config.optimizer()?)?;
        let mut learner = Learner::new(program, executor, checkpoint.record.progress.seed)?;
        learner.take(&checkpoint, (config.epochs, config.steps))?;
        Ok(learner)
    }

    /// Takes state, step and learning rate of a checkpoint of the same model and optimizer, and goes on
    /// from there. No step may be in flight.
    ///
    /// # Errors
    /// [`TrainerError::OtherModel`], [`TrainerError::Checkpoint`], [`TrainerError::File`]. Nothing has
    /// changed then.
    pub fn restore(&mut self, folder: impl AsRef<Path>) -> Result<(), TrainerError> {
        let checkpoint = Checkpoint::read(folder.as_ref())?;
        // What is code in one of them is a name in the other, and counts no epochs.
        let config = checkpoint.config()?;
        self.take(&checkpoint, (config.epochs, config.steps))
    }

    fn take(
        &mut self,
        checkpoint: &Checkpoint,
        (epochs, steps): (usize, Option<u64>),
    ) -> Result<(), TrainerError> {
        checkpoint.check_model(self.program.model().spec())?;
        let state = checkpoint.state(self.state().layout())?;
        let progress = &checkpoint.record.progress;
        let rate = match progress.learning_rate.as_deref().map(str::parse::<f64>) {
            Some(Ok(rate)) if rate.is_finite() && rate >= 0.0 => rate,
            None => self.program.optimizer().lr(),
            Some(_) => {
                let reason = "its learning rate is no number of at least 0";
                return Err(TrainerError::checkpoint(checkpoint.folder(), reason));
            }
        };
        if !progress.legs.is_empty() {
            let horizon = Horizon::of_legs(epochs as u64, &progress.legs)?;
            self.set_horizon(&steps.map_or(horizon.clone(), |steps| horizon.ending(steps)))?;
        }
        self.write_state(&state)?;
        self.recover();
        self.set_position(progress.step, progress.accumulated);
        self.set_seed(progress.seed);
        self.learning_rate = rate;
        (self.last, self.readings) = (Default::default(), None);
        Ok(())
    }

    /// The settings that make a program as this one is, and what of it they cannot hold.
    fn settings(&self) -> (TrainerConfig, OwnCode) {
        let program = &self.program;
        let mut config = TrainerConfig {
            loss: program.loss().clone(),
            metrics: program.metrics().to_vec(),
            freeze: program.freezes().to_vec(),
            freeze_statistics: program.freezes_statistics(),
            accumulate: program.accumulates(),
            keep_gradients: program.keeps(),
            read: program.readables().to_vec(),
            seed: self.seed(),
            ..TrainerConfig::default()
        };
        let own = OwnCode { optimizer: config.adopt(program.optimizer()), ..OwnCode::default() };
        (config, own)
    }
}

/// What settings train.
pub(crate) fn program_of(
    model: Model,
    config: &TrainerConfig,
    optimizer: Optimizer,
) -> Result<TrainingProgram, TrainerError> {
    let program = TrainingProgram::new(model, config.loss.clone(), optimizer)?;
    let program = match config.metrics.as_slice() {
        [] => program,
        metrics => program.with_metrics(metrics)?,
    };
    let program = match config.freeze.as_slice() {
        [] => program,
        patterns => program.freeze(patterns, config.freeze_statistics)?,
    };
    let program = program.keep(config.keep_gradients).readable(&config.read)?;
    match config.accumulate {
        1 => Ok(program),
        batches => program.accumulate(batches),
    }
}
