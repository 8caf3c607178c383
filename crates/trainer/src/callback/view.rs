//! What a callback sees of a run.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onestep_data::Dataset;

use crate::TrainerError;
use crate::host::HostFields;
use crate::metrics::Monitor;
use crate::snapshot::Snapshot;
use crate::trainer::{Evaluation, Prediction, Trainer};

/// A run under way, as a callback sees it: everything of the [`Trainer`] can be looked at, and here
/// is what can be done to it meanwhile. What waits for the device says so.
pub struct RunView<'a> {
    trainer: &'a mut Trainer,
    /// Where a checkpoint is to be written when the hook has returned.
    save: Option<PathBuf>,
    stop: bool,
}

impl<'a> RunView<'a> {
    pub(crate) fn new(trainer: &'a mut Trainer) -> Self {
        RunView { trainer, save: None, stop: false }
    }

    /// What the hook has asked for: a checkpoint, and an end.
    pub(crate) fn asked(self) -> (Option<PathBuf>, bool) {
        (self.save, self.stop)
    }

    /// Writes a checkpoint to a folder when the hook has returned, with what all callbacks keep. It
    /// waits for the steps in flight; an error ends the run.
    pub fn save(&mut self, folder: impl AsRef<Path>) {
        self.save = Some(folder.as_ref().to_path_buf());
    }

    /// Ends training when the hook has returned, as [`Flow::Stop`](crate::Flow::Stop) does.
    pub fn stop(&mut self) {
        self.stop = true;
    }

    /// [`Trainer::evaluate`]; training goes on as if nothing had happened.
    ///
    /// # Errors
    /// Those of [`Trainer::evaluate`].
    pub fn evaluate(&mut self, dataset: Arc<dyn Dataset>) -> Result<Evaluation, TrainerError> {
        self.trainer.evaluate(dataset)
    }

    /// [`Trainer::predict`]; training goes on as if nothing had happened.
    ///
    /// # Errors
    /// Those of [`Trainer::predict`].
    pub fn predict<'d>(
        &mut self,
        inputs: impl Into<HostFields<'d>>,
    ) -> Result<Prediction, TrainerError> {
        self.trainer.predict(inputs)
    }

    /// [`Trainer::parameter`]; waits for the steps in flight.
    ///
    /// # Errors
    /// There is no tensor of this name.
    pub fn parameter(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        self.trainer.parameter(name)
    }

    /// [`Trainer::set_parameter`]; waits for the steps in flight.
    ///
    /// # Errors
    /// There is no tensor of this name, or the count is wrong.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<(), TrainerError> {
        self.trainer.set_parameter(name, values)
    }

    /// [`Trainer::gradient`]; waits for the steps in flight.
    ///
    /// # Errors
    /// There is no such parameter, or gradients are not kept.
    pub fn gradient(&mut self, parameter: &str) -> Result<Vec<f32>, TrainerError> {
        self.trainer.gradient(parameter)
    }

    /// [`Trainer::set_learning_rate`].
    ///
    /// # Errors
    /// A rate that is negative or not finite, and a schedule that goes by a rate of its own.
    pub fn set_learning_rate(&mut self, lr: f64) -> Result<(), TrainerError> {
        self.trainer.set_learning_rate(lr)
    }

    /// [`Trainer::snapshot`]; waits for the steps in flight.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot, TrainerError> {
        self.trainer.snapshot()
    }

    /// [`Trainer::keep_best`].
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn keep_best(&mut self) -> Result<(), TrainerError> {
        self.trainer.keep_best()
    }

    /// [`Trainer::restore_best`].
    ///
    /// # Errors
    /// The device cannot be written.
    pub fn restore_best(&mut self) -> Result<bool, TrainerError> {
        self.trainer.restore_best()
    }

    /// A figure that this run has, with what is better of it: `monitor`, or what the settings watch.
    ///
    /// # Errors
    /// [`TrainerError::Option`] for one that is not measured.
    pub fn watch(&self, monitor: Option<&Monitor>) -> Result<Monitor, TrainerError> {
        self.trainer.watch(monitor.unwrap_or(&self.trainer.config().monitor))
    }
}

impl Deref for RunView<'_> {
    type Target = Trainer;

    fn deref(&self) -> &Trainer {
        self.trainer
    }
}
