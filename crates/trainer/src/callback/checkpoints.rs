//! Writing checkpoints while training.

use std::path::{Path, PathBuf};

use crate::TrainerError;
use crate::callback::{Callback, Flow, StepEvent};
use crate::checkpoint::check_place;
use crate::history::{EpochRecord, History, Monitor};
use crate::trainer::Trainer;

/// Writes the whole state to one folder at the end of every so many epochs and, where asked for,
/// every so many steps. Each checkpoint replaces the one before when it is complete. Training that
/// is resumed from it goes on exactly as if it had not been interrupted. What somebody else has put
/// into the folder of a checkpoint is carried over to the next.
///
/// Give it behind the callbacks whose memory belongs into the checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    every_epochs: usize,
    every_steps: Option<u64>,
    /// The step of the checkpoint that was written last.
    saved: Option<u64>,
}

impl Checkpoints {
    /// A checkpoint in `folder` at the end of each epoch, and as often within it as
    /// [`TrainerConfig::save_every_steps`](crate::TrainerConfig::save_every_steps) says.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Checkpoints { folder: folder.into(), every_epochs: 1, every_steps: None, saved: None }
    }

    /// At the end of every so many epochs; 0 for none.
    #[must_use]
    pub fn every_epochs(mut self, epochs: usize) -> Self {
        self.every_epochs = epochs;
        self
    }

    /// Every so many steps of the run, whatever the configuration says.
    #[must_use]
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every_steps = Some(steps.max(1));
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn save(&mut self, trainer: &mut Trainer) -> Result<(), TrainerError> {
        trainer.save(&self.folder)?;
        self.saved = Some(trainer.progress().step);
        Ok(())
    }
}

impl Callback for Checkpoints {
    fn name(&self) -> &str {
        "checkpoints"
    }

    /// A model or a folder that no checkpoint can be made of is refused here, not hours later.
    fn on_fit_start(&mut self, trainer: &mut Trainer) -> Result<(), TrainerError> {
        trainer.check_writable()?;
        check_place(&self.folder)
    }

    fn on_step(&mut self, trainer: &mut Trainer, step: &StepEvent) -> Result<Flow, TrainerError> {
        let every = self.every_steps.or(trainer.config().save_every_steps);
        // The last step of an epoch is saved with the epoch's end, after validation.
        let due = every.is_some_and(|every| step.step.is_multiple_of(every.max(1)));
        if due && step.batch < step.batches {
            self.save(trainer)?;
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(
        &mut self,
        trainer: &mut Trainer,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let last = epoch.epoch == trainer.config().epochs;
        if self.every_epochs > 0 && (last || epoch.epoch.is_multiple_of(self.every_epochs)) {
            self.save(trainer)?;
        }
        Ok(Flow::Continue)
    }

    /// The last checkpoint of a run that has ended says which weights it is used with.
    fn on_fit_end(&mut self, trainer: &mut Trainer, run: &History) -> Result<(), TrainerError> {
        let stands = self.saved == Some(trainer.progress().step)
            && trainer.weights() == trainer.progress().weights;
        if self.every_epochs > 0 && run.stop.is_end() && !stands {
            self.save(trainer)?;
        }
        Ok(())
    }
}

/// Writes a checkpoint whenever an epoch is the best so far by a monitored figure.
#[derive(Clone, Debug)]
pub struct BestCheckpoint {
    folder: PathBuf,
    monitor: Option<Monitor>,
    best: Option<f64>,
}

impl BestCheckpoint {
    /// The name it goes by.
    pub const NAME: &'static str = "best_checkpoint";

    /// The best epoch by [`TrainerConfig::monitor`](crate::TrainerConfig::monitor) in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        BestCheckpoint { folder: folder.into(), monitor: None, best: None }
    }

    /// Watches another figure.
    #[must_use]
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.monitor = Some(monitor);
        self
    }

    /// The best figure so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Callback for BestCheckpoint {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn on_fit_start(&mut self, trainer: &mut Trainer) -> Result<(), TrainerError> {
        trainer.check_monitor(self.monitor.unwrap_or(trainer.config().monitor))?;
        trainer.check_writable()?;
        self.best = trainer.recall(Self::NAME)?;
        check_place(&self.folder)
    }

    fn on_epoch_end(
        &mut self,
        trainer: &mut Trainer,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let monitor = self.monitor.unwrap_or(trainer.config().monitor);
        let Some(value) = monitor.of(epoch) else { return Ok(Flow::Continue) };
        if monitor.improves(value, self.best, 0.0) {
            self.best = Some(value);
            trainer.remember(Self::NAME, &self.best)?;
            trainer.save(&self.folder)?;
        }
        Ok(Flow::Continue)
    }
}
