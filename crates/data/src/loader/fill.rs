//! Filling one batch, on whatever thread.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onestep_memory::{Shape, StagingSlot};

use super::batch::{INPUT, TARGET};
use super::order::EpochPlan;
use crate::{DataError, Dataset, Pipeline, SampleRng, TargetMut, TargetSpec};

/// Reads samples, transforms them and writes them to a slot. Shared by all workers.
pub(crate) struct Filler {
    pub(crate) name: String,
    pub(crate) dataset: Arc<dyn Dataset>,
    pub(crate) pipeline: Pipeline,
    pub(crate) training: bool,
    pub(crate) seed: u64,
    pub(crate) input_shape: Shape,
    pub(crate) target: TargetSpec,
}

/// Room that a worker keeps, so that no batch needs an allocation.
pub(crate) struct Scratch {
    labels: Vec<i32>,
    values: Vec<f32>,
    transform: Vec<f32>,
}

impl Filler {
    /// Room for a batch of `batch_size` samples.
    pub(crate) fn scratch(&self, batch_size: usize) -> Scratch {
        let (labels, values) = match &self.target {
            TargetSpec::Classes { .. } => (batch_size, 0),
            TargetSpec::Values { shape } => (0, batch_size * shape.elements()),
        };
        let transform = if self.pipeline.is_empty() { 0 } else { self.input_shape.elements() };
        Scratch {
            labels: Vec::with_capacity(labels),
            values: Vec::with_capacity(values),
            transform: Vec::with_capacity(transform),
        }
    }

    /// Fills `slot` with a batch; `Ok(false)` where the epoch was cancelled meanwhile.
    ///
    /// A panic in the data set or a transform becomes an error that names the sample.
    pub(crate) fn fill(
        &self,
        plan: &EpochPlan,
        batch: usize,
        slot: &mut StagingSlot,
        scratch: &mut Scratch,
    ) -> Result<bool, DataError> {
        let current = Cell::new(None);
        // What a panic leaves half written is the slot and the scratch room, and both are
        // overwritten before they are read.
        let filled = catch_unwind(AssertUnwindSafe(|| {
            self.fill_samples(plan, batch, slot, scratch, &current)
        }));
        match (filled, current.get()) {
            (Ok(Ok(complete)), _) => Ok(complete),
            (Ok(Err(source)), Some(index)) => Err(self.sample_error(index, source)),
            (Ok(Err(error)), None) => Err(error),
            (Err(payload), index) => Err(self.panic_error(index, payload.as_ref())),
        }
    }

    fn fill_samples(
        &self,
        plan: &EpochPlan,
        batch: usize,
        slot: &mut StagingSlot,
        scratch: &mut Scratch,
        current: &Cell<Option<usize>>,
    ) -> Result<bool, DataError> {
        let samples = plan.samples(batch);
        scratch.labels.clear();
        scratch.values.clear();
        let inputs = slot.slice_mut::<f32>(INPUT)?;
        let places = inputs.chunks_exact_mut(self.input_shape.elements());
        for (&index, input) in samples.iter().zip(places) {
            if plan.is_cancelled() {
                return Ok(false);
            }
            current.set(Some(index));
            self.read(index, input, scratch)?;
            let mut rng = SampleRng::new(self.seed, plan.epoch, index as u64);
            let room = &mut scratch.transform;
            self.pipeline.apply(input, &self.input_shape, self.training, &mut rng, room)?;
        }
        current.set(None);
        // A slot lends one of its tensors at a time, so the (small) targets are copied at the end.
        match &self.target {
            TargetSpec::Classes { .. } => {
                let labels = slot.slice_mut::<i32>(TARGET)?;
                labels[..samples.len()].copy_from_slice(&scratch.labels);
            }
            TargetSpec::Values { .. } => {
                let values = slot.slice_mut::<f32>(TARGET)?;
                values[..scratch.values.len()].copy_from_slice(&scratch.values);
            }
        }
        Ok(true)
    }

    fn read(
        &self,
        index: usize,
        input: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<(), DataError> {
        match &self.target {
            TargetSpec::Classes { names } => {
                let mut label = -1;
                self.dataset.read(index, input, TargetMut::Label(&mut label))?;
                // Kernels use labels as indices, so a data set's mistake must end here.
                if usize::try_from(label).is_ok_and(|label| label < names.len()) {
                    scratch.labels.push(label);
                    return Ok(());
                }
                let (dataset, classes) = (self.name.clone(), names.len());
                Err(DataError::Label { dataset, index, label: i64::from(label), classes })
            }
            TargetSpec::Values { shape } => {
                let start = scratch.values.len();
                scratch.values.resize(start + shape.elements(), 0.0);
                let target = TargetMut::Values(&mut scratch.values[start..]);
                self.dataset.read(index, input, target)
            }
        }
    }

    fn sample_error(&self, index: usize, source: DataError) -> DataError {
        // These name the sample themselves.
        if matches!(source, DataError::Label { .. } | DataError::Index { .. }) {
            return source;
        }
        let (dataset, location) = (self.name.clone(), self.location(index));
        DataError::Sample { dataset, index, location, source: Box::new(source) }
    }

    fn panic_error(&self, index: Option<usize>, payload: &(dyn Any + Send)) -> DataError {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        let message = text.unwrap_or_else(|| "(no message)".to_owned());
        let dataset = self.name.clone();
        match index {
            Some(index) => {
                let location = self.location(index);
                DataError::Panicked { dataset, index, location, message }
            }
            None => DataError::other(format!("{dataset}: filling a batch panicked: {message}")),
        }
    }

    /// A data set that panics may panic here too; the index must do then.
    fn location(&self, index: usize) -> Option<String> {
        catch_unwind(AssertUnwindSafe(|| self.dataset.location(index))).ok().flatten()
    }
}
