//! The training loop.

use std::sync::Arc;

use onestep_data::{DataLoader, Dataset};
use onestep_engine::Mode;

use super::Trainer;
use super::binding::Binding;
use super::hooks::Callbacks;
use super::run::Run;
use crate::TrainerError;
use crate::callback::{Callback, EarlyStopping};
use crate::history::History;
use crate::snapshot::Weights;

impl Trainer {
    /// Trains until the configuration's epochs are done, from wherever the trainer stands: the
    /// beginning, the middle of an epoch of a checkpoint, or the end of an earlier `fit` whose
    /// epochs were raised by [`Trainer::set_epochs`]. Validates after each epoch where there is
    /// validation data.
    ///
    /// In steady state a step is one call into the engine, with no wait for the device and no
    /// allocation on the way.
    ///
    /// # Errors
    /// Data that does not fit the model or has a class that it does not know; a sample that cannot be read or has a wrong label, by its
    /// index; [`TrainerError::NonFinite`] when the loss is not a number any more; the errors of
    /// callbacks and of the engine.
    pub fn fit(
        &mut self,
        train: Arc<dyn Dataset>,
        validation: Option<Arc<dyn Dataset>>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History, TrainerError> {
        for warning in self.check_fit(&train, validation.as_ref())? {
            log::warn!("{warning}");
        }
        let classes = self.classes_with(train.as_ref());
        let train = self.by_name(train, classes.as_deref())?;
        let validation =
            validation.map(|data| self.by_name(data, classes.as_deref())).transpose()?;
        self.record.classes = classes;
        self.use_weights(Weights::Last)?;
        self.run_callbacks(train, validation, callbacks)
    }

    /// Early stopping, where it is configured, comes before the callbacks of the caller.
    fn run_callbacks(
        &mut self,
        train: Arc<dyn Dataset>,
        validation: Option<Arc<dyn Dataset>>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History, TrainerError> {
        let mut early_stopping = self.config.early_stopping.clone().map(EarlyStopping::new);
        let mut all: Vec<&mut dyn Callback> = Vec::with_capacity(callbacks.len() + 1);
        if let Some(callback) = &mut early_stopping {
            all.push(callback);
        }
        for callback in callbacks {
            all.push(&mut **callback);
        }
        let mut callbacks = Callbacks::new(all);
        let run = Run::new(self, train, validation, &mut callbacks).and_then(Run::run);
        if let Err(error) = &run {
            // The steps in flight are done, so their losses belong to the epoch; what is wrong with
            // them is no news beside what ended the fit.
            let _ = self.collect(true);
            self.flight.clear();
            callbacks.fail(self, error);
        }
        run
    }

    /// Compiles what an epoch needs, so that no step in its middle does.
    pub(super) fn compile(
        &mut self,
        mode: Mode,
        loader: &DataLoader,
        binding: &Binding,
    ) -> Result<usize, TrainerError> {
        let mut peak = 0;
        let (shapes, batch) = (loader.shapes(), loader.batch_size());
        if mode == Mode::Train {
            // Those of training and accumulation, and a few of evaluation and prediction.
            self.learner.keep_plans(2 * shapes.len() + 8);
        }
        let accumulates = mode == Mode::Train && self.config.accumulate > 1;
        let modes = [Some(mode), accumulates.then_some(Mode::Accumulate)];
        for mode in modes.into_iter().flatten() {
            for &(samples, length) in &shapes {
                // Where all are of one length, one that is not full is the last and makes an update.
                if mode == Mode::Accumulate && samples < batch && length.is_none() {
                    continue;
                }
                let signature = binding.signature(samples, length)?;
                peak = peak.max(self.learner.prepare_for(mode, &signature)?.peak());
            }
        }
        Ok(peak)
    }
}
