//! Filling one batch, on whatever thread.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use onestep_memory::{SliceMut, StagingSlot};

use super::collate::Added;
use super::mixing::{Mixed, mix_labels};
use super::order::EpochPlan;
use crate::pipeline::BoundPipeline;
use crate::random::Purpose;
use crate::sample::Rows;
use crate::{DataError, Dataset, Field, Fields, Role, SampleMut, SampleRng};

/// Reads samples, transforms them and writes them to a slot. Shared by all workers.
pub(crate) struct Filler {
    pub(crate) name: String,
    pub(crate) dataset: Arc<dyn Dataset>,
    /// What the data set gives of a sample.
    pub(crate) single: Fields,
    /// What a batch has: the same, and what collation adds.
    pub(crate) fields: Fields,
    pub(crate) added: Added,
    pub(crate) steps: BoundPipeline,
    /// Set where a batch's samples are mixed.
    pub(crate) mixed: Option<Mixed>,
    pub(crate) seed: u64,
}

/// Room that a worker keeps, so that no batch needs an allocation.
pub(crate) struct Scratch {
    transform: Vec<f32>,
    labels: Vec<i32>,
}

impl Filler {
    /// Room for what a sample needs, and for the labels of a batch where they are mixed.
    pub(crate) fn scratch(&self, batch_size: usize) -> Scratch {
        let inputs = self.mixed.iter().flat_map(|mixed| &mixed.inputs);
        let mixed = inputs.map(|&place| self.fields[place].shape.elements()).max().unwrap_or(0);
        let labels = if self.mixed.is_some() { batch_size } else { 0 };
        Scratch {
            transform: Vec::with_capacity(self.steps.largest().max(mixed)),
            labels: vec![-1; labels],
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
        let padded = plan.length(batch);
        let Scratch { transform, labels } = scratch;
        let mut rows = Rows::of(slot, &self.fields, padded)?;
        let soft = match &self.mixed {
            Some(mixed) => rows.replace(mixed.target, labels),
            None => None,
        };
        for (row, &index) in plan.samples(batch).iter().enumerate() {
            if plan.is_cancelled() {
                return Ok(false);
            }
            current.set(Some(index));
            let length = match padded {
                Some(padded) => self.length(index, padded)?,
                None => 0,
            };
            rows.at(row, length);
            let mut sample = SampleMut::new(&self.single, &mut rows);
            self.forget_labels(&mut sample);
            self.dataset.read(index, &mut sample)?;
            self.check(index, &mut sample)?;
            let mut rng = SampleRng::new(self.seed, plan.epoch, index as u64);
            self.steps.apply(&mut sample, &mut rng, transform)?;
            if padded.is_some() {
                self.add_length(length, &mut sample);
                rows.pad(&self.fields);
            }
        }
        current.set(None);
        if let (Some(mixed), Some(SliceMut::F32(places))) = (&self.mixed, soft) {
            let mut rng = SampleRng::keyed(Purpose::Mix, self.seed, plan.epoch, batch as u64);
            let size = plan.samples(batch).len();
            self.mix(mixed, size, &mut rows, places, &mut rng, transform);
        }
        Ok(true)
    }

    /// Mixes the samples of a batch, and makes probabilities of their labels.
    fn mix(
        &self,
        mixed: &Mixed,
        size: usize,
        rows: &mut Rows<'_>,
        places: &mut [f32],
        rng: &mut SampleRng,
        room: &mut Vec<f32>,
    ) {
        let draw = mixed.draw(rng);
        let mut share = 1.0;
        for &input in &mixed.inputs {
            let field = &self.fields[input];
            let samples = rows.all(input).unwrap_or_default();
            let samples = samples.get_mut(..size * field.shape.elements()).unwrap_or_default();
            share = draw.mix(samples, field, room);
        }
        let classes = self.fields[mixed.target].shape.elements();
        let labels = rows.labels(mixed.target).unwrap_or_default();
        mix_labels(&labels[..size.min(labels.len())], share, classes, places);
    }

    /// The length of a sample, which is that of its bucket at most.
    fn length(&self, index: usize, padded: usize) -> Result<usize, DataError> {
        let length = self.dataset.length(index).unwrap_or(padded);
        if length <= padded {
            return Ok(length);
        }
        let wanted = format!("{padded} at most, as when the loader was built");
        Err(DataError::setting("length of the sample", wanted, length))
    }

    /// Writes what collation adds, behind the fields of the data set.
    fn add_length(&self, length: usize, sample: &mut SampleMut<'_>) {
        let place = self.single.len();
        if self.added.mask
            && let Some(mask) = sample.at::<u8>(place)
        {
            mask.fill(1);
        }
        let place = place + usize::from(self.added.mask);
        if self.added.length
            && let Some([place]) = sample.at::<i32>(place)
        {
            *place = i32::try_from(length).unwrap_or(i32::MAX);
        }
    }

    /// So that what a data set does not write is no label of an earlier sample.
    fn forget_labels(&self, sample: &mut SampleMut<'_>) {
        for (place, field) in self.single.iter().enumerate() {
            if let (Some(_), Some(labels)) = (field.meaning.limit(), sample.at::<i32>(place)) {
                labels.fill(-1);
            }
        }
    }

    /// Kernels use labels and indices to find rows, so a data set's mistake must end here.
    fn check(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        for (place, field) in self.single.iter().enumerate() {
            if field.meaning.limit().is_some() {
                let labels = sample.at::<i32>(place).unwrap_or_default();
                if let Some(element) = field.wrong_label(labels) {
                    return Err(field.label_error(&self.name, index, element, labels[element]));
                }
            } else if field.role == Role::Weight {
                check_weights(field, sample.at::<f32>(place).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn sample_error(&self, index: usize, source: DataError) -> DataError {
        // These name the sample themselves.
        if matches!(
            source,
            DataError::Label { .. } | DataError::Range { .. } | DataError::Index { .. }
        ) {
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

/// A loss divides by the sum of the weights.
fn check_weights(field: &Field, weights: &[f32]) -> Result<(), DataError> {
    match weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        Some(weight) => Err(DataError::field(&field.name, "finite weights from 0 on", weight)),
        None => Ok(()),
    }
}
