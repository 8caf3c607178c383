//! The state table seen from outside: parameters by name, snapshots, checkpoints.

use std::path::Path;

use onestep_engine::StateKind;

use super::Trainer;
use super::flight::Offence;
use crate::TrainerError;
use crate::checkpoint::{self, Checkpoint, Contents};

/// A copy on the host of a model's parameters and states, without the optimizer's.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub(crate) tensors: Vec<(String, Vec<f32>)>,
}

impl Trainer {
    /// The elements of a parameter, of a state such as `bn1.running_mean`, or of optimizer state
    /// such as `exp_avg.conv1.weight`, row-major.
    ///
    /// # Errors
    /// There is no tensor of this name.
    pub fn parameter(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        self.collect(true)?;
        Ok(self.engine.state().read(name)?)
    }

    /// Replaces the elements of such a tensor.
    ///
    /// # Errors
    /// There is no tensor of this name, or the count is wrong.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<(), TrainerError> {
        self.collect(true)?;
        Ok(self.engine.state().write(name, values)?)
    }

    /// Copies parameters and model states to the host.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot, TrainerError> {
        self.collect(true)?;
        let state = self.engine.state();
        let entries = state.layout().entries().iter();
        let kept = entries.filter(|entry| entry.kind != StateKind::Optimizer);
        let tensors = kept.map(|entry| Ok((entry.name.clone(), state.read(&entry.name)?)));
        Ok(Snapshot { tensors: tensors.collect::<Result<_, TrainerError>>()? })
    }

    /// Puts parameters and model states back.
    ///
    /// # Errors
    /// The snapshot is of another model.
    pub fn restore_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), TrainerError> {
        self.collect(true)?;
        for (name, values) in &snapshot.tensors {
            self.engine.state().write(name, values)?;
        }
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

    /// Puts the parameters and states back that [`Trainer::keep_best`] kept last, in this run or
    /// in the one of the checkpoint that it goes on from. Tells whether there were any.
    ///
    /// # Errors
    /// The device cannot be written.
    pub fn restore_best(&mut self) -> Result<bool, TrainerError> {
        match self.best.take() {
            Some(best) => self.restore_snapshot(&best).map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes a checkpoint: a folder with everything that training needs to go on exactly as if it
    /// had not been interrupted. It replaces an earlier checkpoint there when it is complete.
    /// Waits for the steps in flight.
    ///
    /// # Errors
    /// [`TrainerError::BadState`] where a tensor is not finite, [`TrainerError::File`] with path
    /// and cause, and [`TrainerError::Checkpoint`] where the folder holds something else. The
    /// earlier checkpoint is untouched then.
    pub fn save(&mut self, folder: impl AsRef<Path>) -> Result<(), TrainerError> {
        let folder = folder.as_ref();
        self.collect(true)?;
        self.refuse_offence()?;
        self.progress.schedule = self.schedule.as_ref().map(|schedule| schedule.state());
        checkpoint::write(
            folder,
            &Contents {
                model: self.model.spec(),
                config: &self.config,
                state: self.engine.state(),
                progress: &self.progress,
                callbacks: &self.remembered,
                best: self.best.as_ref(),
            },
        )?;
        self.last_checkpoint = Some(folder.to_path_buf());
        Ok(())
    }

    /// Takes the state of a checkpoint of the same model, and goes on from there.
    ///
    /// # Errors
    /// [`TrainerError::OtherModel`], [`TrainerError::Checkpoint`], [`TrainerError::File`]. Nothing
    /// has changed then.
    pub fn restore(&mut self, folder: impl AsRef<Path>) -> Result<(), TrainerError> {
        self.restore_from(Checkpoint::read(folder.as_ref())?)
    }

    /// As [`Trainer::restore`], from a checkpoint that was read.
    pub(super) fn restore_from(&mut self, checkpoint: Checkpoint) -> Result<(), TrainerError> {
        checkpoint.check_model(self.model.spec())?;
        let layout = self.engine.state().layout();
        let state = checkpoint.state(layout)?;
        let best = checkpoint.best(layout)?;
        // What is in flight belongs to the state that is given up.
        let _ = self.collect(true);
        self.flight.clear();
        for (name, values) in &state {
            self.engine.state().write(name, values)?;
        }
        self.engine.recover();
        self.schedule = None;
        self.scalars.seed = checkpoint.record.progress.seed;
        self.last_checkpoint = Some(checkpoint.folder().to_path_buf());
        self.progress = checkpoint.record.progress;
        self.remembered = checkpoint.record.callbacks;
        self.best = best;
        Ok(())
    }

    /// Takes parameters and model states from a safetensors file, such as a checkpoint's
    /// `weights.safetensors`. The file must hold them all and nothing else.
    ///
    /// # Errors
    /// [`TrainerError::File`] and [`TrainerError::Checkpoint`]. Nothing has changed then.
    pub fn load_weights(&mut self, file: impl AsRef<Path>) -> Result<(), TrainerError> {
        let layout = self.engine.state().layout();
        let weights = checkpoint::read_weights(file.as_ref(), layout)?;
        self.collect(true)?;
        for (name, values) in &weights {
            self.engine.state().write(name, values)?;
        }
        Ok(())
    }

    /// Writes parameters and model states to a safetensors file under their plain names.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn save_weights(&mut self, file: impl AsRef<Path>) -> Result<(), TrainerError> {
        self.collect(true)?;
        checkpoint::write_weights(file.as_ref(), self.engine.state())
    }

    /// The error for a loss that is not a number, where one has arrived.
    pub(super) fn refuse_offence(&mut self) -> Result<(), TrainerError> {
        // It stays known: `fit` looks for the sample that caused it.
        match self.flight.offence {
            Some(offence) => Err(self.non_finite(offence, None)),
            None => Ok(()),
        }
    }

    /// Says what is known of a loss that is not a number: `cause`, or the first tensor of the
    /// model that is not finite by now.
    pub(super) fn non_finite(&mut self, offence: Offence, cause: Option<String>) -> TrainerError {
        let state = self.engine.state();
        let tensor = || {
            let entries = state.layout().entries().iter();
            let mut kept = entries.filter(|entry| entry.kind != StateKind::Optimizer);
            let bad = kept.find(|entry| {
                let values = state.read(&entry.name).unwrap_or_default();
                values.iter().any(|value| !value.is_finite())
            })?;
            Some(format!("`{}` is not finite by now", bad.name))
        };
        TrainerError::NonFinite {
            epoch: offence.place.0 + 1,
            step: offence.step,
            loss: offence.loss,
            reason: cause.or_else(tensor),
            last_good: self.last_checkpoint.clone(),
        }
    }
}
