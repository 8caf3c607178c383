//! Which weights a model is used with: those of the last step or those of the best epoch.

use super::Trainer;
use crate::TrainerError;
use crate::snapshot::{Snapshot, Weights};

impl Trainer {
    /// Copies the parameters and model states in use to the host.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot, TrainerError> {
        self.collect(true)?;
        self.learner.snapshot()
    }

    /// Puts parameters and model states back. Training goes on from them.
    ///
    /// # Errors
    /// The snapshot is of another model.
    pub fn restore_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), TrainerError> {
        self.collect(true)?;
        self.learner.write(snapshot)?;
        self.last = None;
        Ok(())
    }

    /// Keeps a snapshot of now as the best there was, as part of the next checkpoints.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn keep_best(&mut self) -> Result<(), TrainerError> {
        self.best = Some(self.snapshot()?);
        Ok(())
    }

    /// Uses the weights that [`Trainer::keep_best`] kept last, in this run or in the one of the
    /// checkpoint that it goes on from. Tells whether there were any.
    ///
    /// # Errors
    /// The device cannot be written.
    pub fn restore_best(&mut self) -> Result<bool, TrainerError> {
        if self.best.is_none() {
            return Ok(false);
        }
        self.use_weights(Weights::Best).map(|()| true)
    }

    /// The weights in use: what evaluation and prediction read, and what
    /// [`Trainer::save_weights`] writes.
    pub fn weights(&self) -> Weights {
        if self.last.is_some() { Weights::Best } else { Weights::Last }
    }

    /// Uses other weights. Those of the last step are never lost by it: training goes on from them
    /// whatever was in use, and a checkpoint has both. To train on from the best epoch's instead,
    /// make them the model's: `let best = trainer.snapshot()?; trainer.restore_snapshot(&best)?`.
    ///
    /// # Errors
    /// The best where no epoch was kept as that, and what the device says.
    pub fn use_weights(&mut self, weights: Weights) -> Result<(), TrainerError> {
        if weights == self.weights() {
            return Ok(());
        }
        self.collect(true)?;
        match weights {
            Weights::Last => {
                if let Some(last) = self.last.take() {
                    self.learner.write(&last)?;
                }
            }
            Weights::Best => {
                let Some(best) = self.best.clone() else {
                    let wanted = "last: there is no best epoch, which early_stopping with \
                                  restore_best keeps";
                    return Err(TrainerError::option("weights", wanted, weights.name()));
                };
                let last = self.snapshot()?;
                self.learner.write(&best)?;
                self.last = Some(last);
            }
        }
        Ok(())
    }
}
