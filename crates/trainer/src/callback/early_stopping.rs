//! Stopping when nothing improves any more.

use serde::{Deserialize, Serialize};

use crate::TrainerError;
use crate::callback::{Callback, Flow, RunView, recalled};
use crate::config::EarlyStoppingConfig;
use crate::history::{EpochRecord, History};
use crate::metrics::Monitor;
use crate::trainer::Trainer;

/// Ends training after `patience` epochs in a row in which the monitored figure did not improve by
/// more than `min_delta`. When training has ended, by it or with its last epoch, the best epoch's
/// parameters and states are used; after an interruption the state is as the last step left it, and
/// the best is kept beside it. What it knows of the past is part of a checkpoint.
#[derive(Debug)]
pub struct EarlyStopping {
    config: EarlyStoppingConfig,
    memory: Memory,
}

/// What is remembered in checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    best: Option<f64>,
    best_epoch: usize,
    epochs_without_improvement: usize,
}

impl EarlyStopping {
    /// The name it goes by.
    pub const NAME: &'static str = "early_stopping";

    /// Early stopping by these settings.
    pub fn new(config: EarlyStoppingConfig) -> Self {
        EarlyStopping { config, memory: Memory::default() }
    }

    /// The best figure so far.
    pub fn best(&self) -> Option<f64> {
        self.memory.best
    }

    /// The epoch it was reached in, from 1; 0 before the first.
    pub fn best_epoch(&self) -> usize {
        self.memory.best_epoch
    }

    /// The best epoch of a trainer's run so far, from 1, where the run has early stopping.
    ///
    /// # Errors
    /// A checkpoint whose memory is of another form.
    pub fn best_epoch_of(trainer: &Trainer) -> Result<Option<usize>, TrainerError> {
        let memory: Option<Memory> = trainer.recall(Self::NAME)?;
        Ok(memory.map(|memory| memory.best_epoch).filter(|&epoch| epoch > 0))
    }

    fn monitor(&self, run: &RunView<'_>) -> Result<Monitor, TrainerError> {
        run.watch(self.config.monitor.as_ref())
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn on_fit_start(&mut self, run: &mut RunView<'_>) -> Result<(), TrainerError> {
        self.monitor(run).map(|_| ())
    }

    fn state(&self) -> Option<serde_json::Value> {
        serde_json::to_value(self.memory).ok()
    }

    fn restore(&mut self, state: serde_json::Value) -> Result<(), TrainerError> {
        self.memory = recalled(Self::NAME, state)?;
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let monitor = self.monitor(run)?;
        let Some(value) = epoch.figure(&monitor) else { return Ok(Flow::Continue) };
        let memory = &mut self.memory;
        if monitor.improves(value, memory.best, self.config.min_delta) {
            let best = Some(value);
            *memory = Memory { best, best_epoch: epoch.epoch, epochs_without_improvement: 0 };
            if self.config.restore_best {
                run.keep_best()?;
            }
        } else {
            memory.epochs_without_improvement += 1;
        }
        let waited = memory.epochs_without_improvement;
        let patience_is_over = waited > 0 && waited >= self.config.patience;
        Ok(if patience_is_over { Flow::Stop } else { Flow::Continue })
    }

    fn on_fit_end(&mut self, run: &mut RunView<'_>, history: &History) -> Result<(), TrainerError> {
        if self.config.restore_best && history.stop.is_end() {
            run.restore_best()?;
        }
        Ok(())
    }
}
