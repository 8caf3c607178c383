//! Single steps: from a loader's batch or from host data.

use onestep_data::{Batch, Role};
use onestep_engine::Feeds;
use onestep_memory::{HostData, Tensor};

use super::flight::Pending;
use super::{Trainer, flight::Offence};
use crate::TrainerError;
use crate::host::HostFields;
use crate::metrics::{Counted, Meter, Metrics};
use crate::program::Asked;
use crate::snapshot::Weights;

/// What a single step of training gave.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// The step of the run, from 1.
    pub step: u64,
    /// The loss, before the update, in the target's own units as all figures are.
    pub loss: f32,
    /// Loss and metric of the batch.
    pub metrics: Metrics,
    /// All scalars that the step reports by name, as the device computed them: the loss, the metric,
    /// what a weighted loss was divided by, the gradient's norm where clipping is by norm.
    pub reports: Vec<(String, f32)>,
}

/// A batch of host data on the device.
struct HostBatch {
    names: Vec<String>,
    tensors: Vec<Tensor>,
    samples: usize,
}

impl HostBatch {
    fn feeds(&self) -> Feeds<'_> {
        Feeds::named(&self.names, &self.tensors)
    }
}

impl Trainer {
    /// One step of training on host data as a data set would give it (the transforms that count in
    /// evaluation too are applied here, augmentation is not), and a wait for its loss. The batch size is that of the
    /// data; the first batch of a size compiles the step. The learning rate follows the schedule,
    /// for which [`TrainerConfig::steps_per_epoch`](crate::TrainerConfig::steps_per_epoch) says what
    /// an epoch is, or [`Trainer::set_learning_rate`].
    ///
    /// A model with one input and one target takes them as they are, another one takes them by name;
    /// `weight` among the targets is how much each sample counts.
    ///
    /// ```
    /// use onestep_trainer::{Trainer, TrainerConfig, TrainerError, factory};
    ///
    /// let config = TrainerConfig { keep_gradients: true, ..TrainerConfig::default() };
    /// let mut trainer = Trainer::new(factory::mlp([2], &[], 2), config)?;
    /// let first = trainer.train_batch(&[1.0, 0.0, 0.0, 1.0], &[0, 1])?;
    /// let second = trainer.train_batch(&[1.0, 0.0, 0.0, 1.0], &[0, 1])?;
    /// assert!(second.loss < first.loss);
    /// assert_eq!(trainer.output()?.len(), 4);
    /// assert_eq!(trainer.gradient("fc1.weight")?.len(), 4);
    /// // By name: the second sample counts twice.
    /// let (labels, weights) = ([0, 1], [1.0, 2.0]);
    /// let targets = [("target", (&labels).into()), ("weight", (&weights).into())];
    /// trainer.train_batch(&[1.0, 0.0, 0.0, 1.0], &targets)?;
    /// # Ok::<(), TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// Data that does not fit the model, [`TrainerError::Label`] for a label beyond the classes,
    /// [`TrainerError::NonFinite`], a schedule that goes by epochs whose steps are not known, and
    /// the engine's errors.
    pub fn train_batch<'a>(
        &mut self,
        inputs: impl Into<HostFields<'a>>,
        targets: impl Into<HostFields<'a>>,
    ) -> Result<StepResult, TrainerError> {
        let batch = self.host_batch(inputs.into(), targets.into())?;
        let step = self.progress.step + 1;
        let ticket = self.learner.step(batch.feeds())?;
        let reports = ticket.wait()?;
        let loss = reports.loss().unwrap_or(f32::NAN);
        if !loss.is_finite() {
            let place = (self.progress.epoch, self.progress.batch);
            return Err(self.non_finite(Offence { loss, place, step }, None));
        }
        let loss = self.loss_in_units(loss);
        self.progress.record_step(loss);
        let mut meter = Meter::default();
        let counted = Counted::new(batch.samples, &batch.names);
        meter.add(self.figures(), reports.values(), counted);
        let names = self.learner.last_report_names()?;
        Ok(StepResult {
            step,
            loss,
            metrics: self.metrics(&meter),
            reports: names.into_iter().zip(reports.values().iter().copied()).collect(),
        })
    }

    /// Checks host data, brings it to the device, and sets the scalars of the step.
    fn host_batch(
        &mut self,
        inputs: HostFields<'_>,
        targets: HostFields<'_>,
    ) -> Result<HostBatch, TrainerError> {
        let program = self.learner.program();
        let samples = program.check_inputs(inputs)?;
        program.check_targets(targets, samples)?;
        let fields = program.arranged(inputs, Some(targets))?;
        let mut tensors = Vec::with_capacity(fields.len());
        for (asked, data) in &fields {
            let changed = self.as_the_model_sees(asked, *data)?;
            let data = changed.as_deref().map_or(*data, HostData::F32);
            let shape = asked.shape.with_batch(samples)?;
            tensors.push(data.upload(self.learner.memory(), shape)?);
        }
        self.use_weights(Weights::Last)?;
        self.follow_schedule()?;
        self.set_scalars();
        let names = fields.into_iter().map(|(asked, _)| asked.name).collect();
        Ok(HostBatch { names, tensors, samples })
    }

    /// An input after the transforms that count in evaluation too, where there are any.
    pub(super) fn as_the_model_sees(
        &self,
        asked: &Asked,
        data: HostData<'_>,
    ) -> Result<Option<Vec<f32>>, TrainerError> {
        match asked.role {
            Role::Input => self.transformed(&asked.name, &asked.shape, data),
            Role::Target | Role::Weight => Ok(None),
        }
    }

    /// One batch more whose gradient the next [`train_batch`](Trainer::train_batch) counts too, for
    /// settings that [accumulate](crate::TrainerConfig::accumulate); no update is made of it alone. Returns
    /// its loss.
    ///
    /// # Errors
    /// As for [`Trainer::train_batch`], and settings that do not accumulate.
    pub fn accumulate_batch<'a>(
        &mut self,
        inputs: impl Into<HostFields<'a>>,
        targets: impl Into<HostFields<'a>>,
    ) -> Result<f32, TrainerError> {
        if self.config.accumulate < 2 {
            let wanted = "at least 2, to add up gradients";
            return Err(TrainerError::option("accumulate", wanted, self.config.accumulate));
        }
        let batch = self.host_batch(inputs.into(), targets.into())?;
        self.set_scalars();
        let ticket = self.learner.accumulate(batch.feeds())?;
        self.progress.accumulated += 1;
        Ok(self.loss_in_units(ticket.wait()?.loss().unwrap_or(f32::NAN)))
    }

    /// Submits a loader's batch: one that makes an update of all gradients since the last one, or one
    /// whose gradient is only added to them.
    pub(super) fn submit_batch(
        &mut self,
        batch: &Batch,
        (names, tensors): (&[String], &[Tensor]),
        updates: bool,
    ) -> Result<(), TrainerError> {
        let feeds = Feeds { staged: Some(batch.staged()), names, tensors };
        let ticket = match updates {
            true => self.learner.step(feeds)?,
            false => self.learner.accumulate(feeds)?,
        };
        let step = self.progress.step + 1;
        let place = (batch.epoch() as usize, batch.index());
        self.progress.batch = batch.index() + 1;
        match updates {
            true => (self.progress.step, self.progress.accumulated) = (step, 0),
            false => self.progress.accumulated += 1,
        }
        self.flight.push(Pending { ticket, batch: Counted::new(batch.size(), names), place, step });
        Ok(())
    }

    /// Takes the losses that have arrived, or waits for all of them.
    pub(crate) fn collect(&mut self, wait: bool) -> Result<(), TrainerError> {
        let meter = &mut self.progress.meter;
        let result = match wait {
            true => self.flight.drain(meter),
            false => self.flight.collect(meter),
        };
        if self.progress.first_loss.is_none() {
            self.progress.first_loss = self.flight.last_loss.map(|loss| self.loss_in_units(loss));
        }
        result
    }
}
