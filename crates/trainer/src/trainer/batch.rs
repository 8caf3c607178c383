//! Single steps: from a loader's batch or from host data.

use onestep_data::Batch;
use onestep_engine::{DType, Feeds};
use onestep_memory::{Shape, Tensor};

use super::flight::Pending;
use super::{Trainer, flight::Offence};
use crate::TrainerError;
use crate::metrics::{Meter, Metrics};
use crate::snapshot::Weights;

/// Numbers on the host, in row-major order, as many as a batch has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HostData<'a> {
    /// Inputs, or targets of regression.
    F32(&'a [f32]),
    /// Labels, or inputs of an embedding.
    I32(&'a [i32]),
}

impl<'a> HostData<'a> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            HostData::F32(values) => values.len(),
            HostData::I32(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the elements.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Self {
        match *self {
            HostData::F32(values) => HostData::F32(&values[range]),
            HostData::I32(values) => HostData::I32(&values[range]),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            HostData::F32(_) => DType::F32,
            HostData::I32(_) => DType::I32,
        }
    }
}

macro_rules! from_slices {
    ($($element:ty => $variant:ident),*) => {$(
        impl<'a> From<&'a [$element]> for HostData<'a> {
            fn from(values: &'a [$element]) -> Self {
                HostData::$variant(values)
            }
        }

        impl<'a> From<&'a Vec<$element>> for HostData<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                HostData::$variant(values)
            }
        }

        impl<'a, const N: usize> From<&'a [$element; N]> for HostData<'a> {
            fn from(values: &'a [$element; N]) -> Self {
                HostData::$variant(values)
            }
        }
    )*};
}

from_slices!(f32 => F32, i32 => I32);

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

impl Trainer {
    /// One step of training on host data as a data set would give it (the transforms that count in
    /// evaluation too are applied here, augmentation is not), and a wait for its loss. The batch size is that of the
    /// data; the first batch of a size compiles the step. The learning rate follows the schedule,
    /// for which [`TrainerConfig::steps_per_epoch`](crate::TrainerConfig::steps_per_epoch) says what
    /// an epoch is, or [`Trainer::set_learning_rate`].
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
    /// # Ok::<(), TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// Data that does not fit the model, [`TrainerError::Label`] for a label beyond the classes,
    /// [`TrainerError::NonFinite`], a schedule that goes by epochs whose steps are not known, and
    /// the engine's errors.
    pub fn train_batch<'a>(
        &mut self,
        input: impl Into<HostData<'a>>,
        target: impl Into<HostData<'a>>,
    ) -> Result<StepResult, TrainerError> {
        let tensors = self.host_batch(input.into(), target.into())?;
        let batch = tensors[0].shape()[0];
        let step = self.progress.step + 1;
        let ticket = self.learner.step(Feeds::new(&tensors))?;
        let reports = ticket.wait()?;
        let loss = reports.loss().unwrap_or(f32::NAN);
        if !loss.is_finite() {
            let place = (self.progress.epoch, self.progress.batch);
            return Err(self.non_finite(Offence { loss, place, step }, None));
        }
        let loss = self.loss_in_units(loss);
        self.progress.record_step(loss);
        let mut meter = Meter::default();
        meter.add(self.figures(), reports.values(), batch);
        let names = self.learner.report_names(batch)?;
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
        input: HostData<'_>,
        target: HostData<'_>,
    ) -> Result<[Tensor; 2], TrainerError> {
        let input_shape = self.check_input(input)?;
        let target_shape = self.check_target(target, input_shape[0])?;
        let transformed = self.transformed(input)?;
        let input = transformed.as_deref().map_or(input, HostData::F32);
        self.use_weights(Weights::Last)?;
        self.follow_schedule()?;
        self.set_scalars();
        Ok([self.upload(input, input_shape)?, self.upload(target, target_shape)?])
    }

    pub(super) fn upload(&self, data: HostData<'_>, shape: Shape) -> Result<Tensor, TrainerError> {
        let memory = self.learner.memory();
        Ok(match data {
            HostData::F32(values) => memory.from_slice(shape, values)?,
            HostData::I32(values) => memory.from_slice(shape, values)?,
        })
    }

    /// One batch more whose gradient the next [`train_batch`](Trainer::train_batch) counts too, for
    /// settings that [accumulate](crate::TrainerConfig::accumulate); no update is made of it alone. Returns
    /// its loss.
    ///
    /// # Errors
    /// As for [`Trainer::train_batch`], and settings that do not accumulate.
    pub fn accumulate_batch<'a>(
        &mut self,
        input: impl Into<HostData<'a>>,
        target: impl Into<HostData<'a>>,
    ) -> Result<f32, TrainerError> {
        if self.config.accumulate < 2 {
            let wanted = "at least 2, to add up gradients";
            return Err(TrainerError::option("accumulate", wanted, self.config.accumulate));
        }
        let tensors = self.host_batch(input.into(), target.into())?;
        self.set_scalars();
        let ticket = self.learner.accumulate(Feeds::new(&tensors))?;
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
        self.flight.push(Pending { ticket, samples: batch.size(), place, step });
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
