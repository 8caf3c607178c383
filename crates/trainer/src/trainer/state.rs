//! The state table seen from outside: parameters by name, checkpoints.

use std::path::Path;

use onestep_engine::StateKind;
use onestep_layers::{ModelSpec, StateTensor, WeightLayout, merge_lora};

use super::Trainer;
use super::flight::Offence;
use crate::TrainerError;
use crate::checkpoint::{self, Checkpoint, Contents, Progress};
use crate::fitting::{self, Taken};
use crate::snapshot::Weights;
use crate::weights;

impl Trainer {
    /// The elements of a parameter, of a state such as `bn1.running_mean`, or of optimizer state
    /// such as `exp_avg.conv1.weight`, row-major.
    ///
    /// # Errors
    /// There is no tensor of this name.
    pub fn parameter(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        self.collect(true)?;
        Ok(self.learner.state().read(name)?)
    }

    /// Replaces the elements of such a tensor. Training goes on from the weights in use, this one
    /// among them.
    ///
    /// # Errors
    /// There is no tensor of this name, or the count is wrong.
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<(), TrainerError> {
        self.collect(true)?;
        self.learner.state().write(name, values)?;
        self.last = None;
        Ok(())
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
        if let Some(schedule) = &self.schedule {
            self.progress.schedule = Some(schedule.state());
        }
        self.progress.weights = self.weights();
        checkpoint::write(
            folder,
            &Contents {
                model: self.model().spec(),
                config: &self.config,
                state: self.learner.state(),
                averaged: self.learner.averaged()?.as_ref(),
                last: self.last.as_ref(),
                progress: &self.progress,
                callbacks: &self.remembered,
                best: self.best.as_ref(),
                record: &self.record,
            },
        )?;
        self.last_checkpoint = Some(folder.to_path_buf());
        Ok(())
    }

    /// Takes the state of a checkpoint of the same model, and goes on from there, with the seed of
    /// its run. It uses the weights that the checkpoint was saved with in use.
    ///
    /// # Errors
    /// [`TrainerError::OtherModel`], [`TrainerError::Checkpoint`], [`TrainerError::File`]. Nothing
    /// has changed then.
    pub fn restore(&mut self, folder: impl AsRef<Path>) -> Result<(), TrainerError> {
        self.restore_from(Checkpoint::read(folder.as_ref())?, None)
    }

    /// As [`Trainer::restore`], from a checkpoint that was read, with the weights asked for.
    pub(super) fn restore_from(
        &mut self,
        checkpoint: Checkpoint,
        weights: Option<Weights>,
    ) -> Result<(), TrainerError> {
        checkpoint.check_model(self.model().spec())?;
        let layout = self.learner.state().layout();
        let state = checkpoint.state(layout)?;
        let best = checkpoint.best(layout)?;
        if let Some(record) = checkpoint.data_record()? {
            self.set_record(record)?;
        }
        // What is in flight belongs to the state that is given up.
        let _ = self.collect(true);
        self.flight.clear();
        self.learner.write_state(&state)?;
        self.learner.recover();
        self.schedule = None;
        self.last_checkpoint = Some(checkpoint.folder().to_path_buf());
        let own = std::mem::take(&mut self.progress.own);
        self.progress = Progress { own, ..checkpoint.record.progress };
        self.progress.meter.complete();
        self.learner.set_seed(self.progress.seed);
        self.config.seed = self.progress.seed;
        self.remembered = checkpoint.record.callbacks;
        (self.best, self.last) = (best, None);
        self.use_weights(weights.unwrap_or(self.progress.weights))
    }

    /// Takes parameters and model states from a safetensors file, such as a checkpoint's
    /// `weights.safetensors` or a PyTorch state dict. Training goes on from them. The file must hold them all and nothing else;
    /// its layout is recognised, and [`Trainer::load_weights_in`] says it.
    ///
    /// # Errors
    /// [`TrainerError::File`] and [`TrainerError::Weights`], the latter also where the layout
    /// cannot be told. Nothing has changed then.
    pub fn load_weights(&mut self, file: impl AsRef<Path>) -> Result<(), TrainerError> {
        self.take_weights(file.as_ref(), None)
    }

    /// [`Trainer::load_weights`] from a file that is in `layout`.
    ///
    /// # Errors
    /// Those of [`Trainer::load_weights`].
    pub fn load_weights_in(
        &mut self,
        file: impl AsRef<Path>,
        layout: WeightLayout,
    ) -> Result<(), TrainerError> {
        self.take_weights(file.as_ref(), Some(layout))
    }

    /// Begins with the weights of another model, from a safetensors file or from the folder of a run
    /// or checkpoint: each tensor that the model has by the same name and shape is taken, and the
    /// answer says what was taken, what was left and what is new. PyTorch's layout is recognised, or
    /// `layout` says it. With `strict` a file that does not have all of the model and nothing else is
    /// refused.
    ///
    /// # Errors
    /// [`TrainerError::File`] and [`TrainerError::Weights`], the latter also where nothing fits.
    /// Nothing has changed then.
    pub fn init_from(
        &mut self,
        path: impl AsRef<Path>,
        layout: Option<WeightLayout>,
        strict: bool,
    ) -> Result<Taken, TrainerError> {
        let path = path.as_ref();
        let (tensors, taken) = fitting::read(path, self.model(), layout)?;
        if strict && !taken.is_complete() {
            return Err(TrainerError::weights(path, format!("strict: {taken}")));
        }
        self.collect(true)?;
        for tensor in &tensors {
            self.learner.state().write(&tensor.name, &tensor.data)?;
        }
        self.learner.state().start_copies()?;
        self.last = None;
        Ok(taken)
    }

    fn take_weights(
        &mut self,
        file: &Path,
        layout: Option<WeightLayout>,
    ) -> Result<(), TrainerError> {
        let (tensors, _) = weights::read(file, self.model(), layout)?;
        let there = |name: &str| tensors.iter().any(|tensor| tensor.name == name);
        if let Some(state) = self.model().states().iter().find(|state| !there(&state.name)) {
            let reason = format!("it has no tensor `{}`, which the model needs", state.name);
            return Err(TrainerError::weights(file, reason));
        }
        self.collect(true)?;
        for tensor in &tensors {
            self.learner.state().write(&tensor.name, &tensor.data)?;
        }
        self.learner.state().start_copies()?;
        self.last = None;
        Ok(())
    }

    /// Whether a checkpoint can hold the model and the settings: code without a name cannot be
    /// written.
    ///
    /// # Errors
    /// The layer or the loss that cannot, and how it could.
    pub fn check_writable(&self) -> Result<(), TrainerError> {
        self.model().spec().to_json()?;
        checkpoint::check_writable(&self.config)
    }

    /// Writes the parameters and model states in use to a safetensors file under their plain names.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn save_weights(&mut self, file: impl AsRef<Path>) -> Result<(), TrainerError> {
        self.save_weights_in(file, WeightLayout::Onestep)
    }

    /// [`Trainer::save_weights`] in `layout`: in PyTorch's, a module whose children have the layers'
    /// names takes the file by `load_state_dict(load_file(file), strict=False)`.
    ///
    /// # Errors
    /// Those of [`Trainer::save_weights`].
    pub fn save_weights_in(
        &mut self,
        file: impl AsRef<Path>,
        layout: WeightLayout,
    ) -> Result<(), TrainerError> {
        let tensors = self.tensors_in_use()?;
        weights::write(file.as_ref(), self.model(), tensors, layout)
    }

    /// As [`Trainer::save_weights_in`] with the [`Lora`](onestep_layers::Lora) adapters folded into the
    /// weights. The result is the model without them, which the file fits.
    ///
    /// # Errors
    /// Those of [`Trainer::save_weights`] and of [`merge_lora`].
    pub fn save_merged(
        &mut self,
        file: impl AsRef<Path>,
        layout: WeightLayout,
    ) -> Result<ModelSpec, TrainerError> {
        let tensors = self.tensors_in_use()?;
        let (spec, tensors) = merge_lora(self.model(), tensors)?;
        weights::write(file.as_ref(), &spec.compile()?, tensors, layout)?;
        Ok(spec)
    }

    /// The parameters and model states that files of weights have.
    fn tensors_in_use(&mut self) -> Result<Vec<StateTensor>, TrainerError> {
        self.collect(true)?;
        let averaged = self.learner.averaged()?;
        let state = self.learner.state();
        let kept = state.layout().entries().iter().filter(|e| e.kind != StateKind::Optimizer);
        let tensors = kept.map(|entry| {
            let used = averaged.as_ref().and_then(|averaged| averaged.get(&entry.name));
            let values = match used {
                Some(values) => values.to_vec(),
                None => state.read(&entry.name)?,
            };
            Ok(StateTensor::new(&entry.name, entry.shape.dims(), values))
        });
        tensors.collect()
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
        let state = self.learner.state();
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
