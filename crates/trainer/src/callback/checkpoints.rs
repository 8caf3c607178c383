//! Writing checkpoints while training.

use std::path::{Path, PathBuf};

use crate::TrainerError;
use crate::callback::{Callback, Flow, RunView, StepEvent, recalled};
use crate::checkpoint::check_place;
use crate::history::{EpochRecord, History};
use crate::metrics::Monitor;

/// Writes the whole state to one folder at the end of every so many epochs and, where asked for,
/// every so many steps. Each checkpoint replaces the one before when it is complete. Training that
/// is resumed from it goes on exactly as if it had not been interrupted. What somebody else has put
/// into the folder of a checkpoint is carried over to the next.
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

    fn save(&mut self, run: &mut RunView<'_>) {
        run.save(&self.folder);
        self.saved = Some(run.progress().step);
    }
}

impl Callback for Checkpoints {
    fn name(&self) -> &str {
        "checkpoints"
    }

    /// A model or a folder that no checkpoint can be made of is refused here, not hours later.
    fn on_fit_start(&mut self, run: &mut RunView<'_>) -> Result<(), TrainerError> {
        run.check_writable()?;
        check_place(&self.folder)
    }

    fn on_step(&mut self, run: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
        let every = self.every_steps.or(run.config().save_every_steps);
        // The last step of an epoch is saved with the epoch's end, after validation.
        let due = every.is_some_and(|every| step.step.is_multiple_of(every.max(1)));
        if due && step.batch < step.batches {
            self.save(run);
        }
        Ok(Flow::Continue)
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let last = epoch.epoch == run.config().epochs;
        if self.every_epochs > 0 && (last || epoch.epoch.is_multiple_of(self.every_epochs)) {
            self.save(run);
        }
        Ok(Flow::Continue)
    }

    /// The last checkpoint of a run that has ended says which weights it is used with.
    fn on_fit_end(&mut self, run: &mut RunView<'_>, history: &History) -> Result<(), TrainerError> {
        let stands =
            self.saved == Some(run.progress().step) && run.weights() == run.progress().weights;
        if self.every_epochs > 0 && history.stop.is_end() && !stands {
            self.save(run);
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

    fn on_fit_start(&mut self, run: &mut RunView<'_>) -> Result<(), TrainerError> {
        run.watch(self.monitor.as_ref())?;
        run.check_writable()?;
        check_place(&self.folder)
    }

    fn state(&self) -> Option<serde_json::Value> {
        Some(self.best.into())
    }

    fn restore(&mut self, state: serde_json::Value) -> Result<(), TrainerError> {
        self.best = recalled(Self::NAME, state)?;
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let monitor = run.watch(self.monitor.as_ref())?;
        let Some(value) = epoch.figure(&monitor) else { return Ok(Flow::Continue) };
        if monitor.improves(value, self.best, 0.0) {
            self.best = Some(value);
            run.save(&self.folder);
        }
        Ok(Flow::Continue)
    }
}
