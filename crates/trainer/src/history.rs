//! What a training run has achieved, epoch by epoch.

use serde::{Deserialize, Serialize};

use crate::metrics::{Metrics, Monitor, Part};
use crate::phases::Phases;

/// One epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Its number, from 1.
    pub epoch: usize,
    /// Steps of the run at its end.
    pub step: u64,
    /// Steps of this epoch that were run, fewer than it has where it was resumed in its middle.
    pub steps: u64,
    /// Samples of those steps.
    pub samples: u64,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// Means over the training batches, each taken before its step's update.
    pub train: Metrics,
    /// Means over the validation data after the epoch, where there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Metrics>,
    /// Where the time went.
    pub phases: Phases,
}

impl EpochRecord {
    /// The figure that a monitor watches, where there is one.
    pub fn figure(&self, monitor: &Monitor) -> Option<f64> {
        let metrics = match monitor.part() {
            Part::Train => &self.train,
            Part::Validation => self.validation.as_ref().unwrap_or(&self.train),
        };
        metrics.get(monitor.metric())
    }

    /// Steps a second, over the epoch without compilation and validation.
    pub fn steps_per_second(&self) -> f64 {
        rate(self.steps, self.phases.train_seconds)
    }

    /// Samples a second, over the epoch without compilation and validation.
    pub fn samples_per_second(&self) -> f64 {
        rate(self.samples, self.phases.train_seconds)
    }
}

pub(crate) fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Why training ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The last epoch is done.
    #[default]
    Completed,
    /// Early stopping saw no improvement any more.
    EarlyStopping,
    /// Another callback asked for it before the last epoch was done: an interruption, after which
    /// the state is as the last step left it.
    Callback {
        /// The callback's name.
        name: String,
    },
}

impl Stop {
    /// Whether training has really ended, and was not interrupted.
    pub fn is_end(&self) -> bool {
        matches!(self, Stop::Completed | Stop::EarlyStopping)
    }
}

/// A training run: its epochs and what it took. Epochs before a resumption are among them; the
/// totals count this `fit` alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The epochs that are complete.
    pub epochs: Vec<EpochRecord>,
    /// The loss of the very first step of the run.
    pub first_loss: Option<f32>,
    /// Why it ended.
    pub stop: Stop,
    /// Steps of this `fit`.
    pub steps: u64,
    /// Samples of those steps.
    pub samples: u64,
    /// Seconds from the first batch of each epoch to its last loss, summed.
    pub train_seconds: f64,
    /// Seconds to compile the programs.
    pub compile_seconds: f64,
    /// Seconds that training waited for batches.
    pub loader_stall_seconds: f64,
    /// Calls into the executor, device allocations and host synchronisations, each a step.
    pub per_step: PerStep,
    /// Bytes that the plan of the training step needs, known before the first step.
    pub planned_bytes: usize,
    /// The most bytes of device memory in use at a time, staging included.
    pub peak_device_bytes: usize,
    /// The most memory of the process, where the system tells.
    pub peak_resident_bytes: Option<u64>,
}

/// What a step took, on average over the steps of a `fit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerStep {
    /// Calls into the executor.
    pub native_calls: f64,
    /// Device allocations.
    pub allocations: f64,
    /// Times the host waited for the device or read its memory.
    pub host_syncs: f64,
}

impl History {
    /// Steps a second of training, without compilation and validation.
    pub fn steps_per_second(&self) -> f64 {
        rate(self.steps, self.train_seconds)
    }

    /// Samples a second of training, without compilation and validation.
    pub fn samples_per_second(&self) -> f64 {
        rate(self.samples, self.train_seconds)
    }

    /// The last epoch.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.epochs.last()
    }

    /// The best epoch by a figure, the earlier one of equals.
    pub fn best(&self, monitor: &Monitor) -> Option<&EpochRecord> {
        let mut best: Option<(&EpochRecord, f64)> = None;
        for epoch in &self.epochs {
            let Some(value) = epoch.figure(monitor) else { continue };
            if monitor.improves(value, best.map(|(_, value)| value), 0.0) {
                best = Some((epoch, value));
            }
        }
        best.map(|(epoch, _)| epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: usize, loss: f64, accuracy: f64) -> EpochRecord {
        let train = Metrics::new(loss).with("accuracy", accuracy);
        EpochRecord { epoch: number, train, ..EpochRecord::default() }
    }

    #[test]
    fn the_best_epoch_is_the_first_of_equals() {
        let epochs = vec![epoch(1, 2.0, 0.5), epoch(2, 1.0, 0.9), epoch(3, 1.5, 0.9)];
        let history = History { epochs, ..History::default() };
        assert_eq!(history.best(&Monitor::default()).unwrap().epoch, 2);
        assert_eq!(history.best(&Monitor::validation("accuracy")).unwrap().epoch, 2);
        assert_eq!(History::default().best(&Monitor::train("loss")), None);
    }
}
