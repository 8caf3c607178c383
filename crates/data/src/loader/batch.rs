//! What the loader delivers.

use std::sync::Arc;

use onestep_memory::{DType, Shape, Staged, Tensor};

use smallvec::SmallVec;

use super::order::EpochPlan;
use crate::sample::INLINE_FIELDS;
use crate::{DataError, Field, Fields, Role};

/// The layout of a staging slot: a full batch of each field.
pub(crate) fn layout(batch_size: usize, fields: &Fields) -> Result<Vec<(Shape, DType)>, DataError> {
    let whole = |field: &Field| Ok((field.shape.with_batch(batch_size)?, field.dtype));
    fields.iter().map(whole).collect()
}

/// Some samples, ready for the device.
///
/// The tensors lie in a slot of the loader's staging ring, and the slot is filled anew once the
/// batch and all clones of its [`staged`](Self::staged) handle are gone. Whoever still reads the
/// tensors after the batch was dropped (a step that is in flight) must keep such a clone.
#[derive(Debug)]
pub struct Batch {
    // Dropped before `staged`: a slot must not be free while these handles are alive.
    tensors: SmallVec<[Tensor; INLINE_FIELDS]>,
    fields: Fields,
    index: usize,
    plan: Arc<EpochPlan>,
    staged: Staged,
}

impl Batch {
    pub(crate) fn new(
        staged: Staged,
        fields: &Fields,
        plan: &Arc<EpochPlan>,
        index: usize,
    ) -> Result<Self, DataError> {
        let (size, length) = (plan.samples(index).len(), plan.length(index));
        let part = |(whole, field): (&Tensor, &Field)| -> Result<Tensor, DataError> {
            let shape = field.shape_at(length)?.with_batch(size)?;
            if *whole.shape() == shape {
                return Ok(whole.clone());
            }
            Ok(whole.view(0, shape)?)
        };
        let tensors = staged.tensors().iter().zip(fields.iter()).map(part);
        let tensors = tensors.collect::<Result<_, _>>()?;
        Ok(Self { tensors, fields: fields.clone(), index, plan: plan.clone(), staged })
    }

    /// What there is of each sample. Of a [`Field`]'s shape a tensor has the batch more, in front; of a
    /// field that varies in length it has as many positions as this batch was padded to.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The tensors of all fields, in their order, `[size, ...]` each.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of a field, `[size, ...]`.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(self.fields.position(name)?)
    }

    /// The first input, `[size, ...]`.
    pub fn input(&self) -> &Tensor {
        self.first(Role::Input)
    }

    /// The first target, labels `[size]`, i32, or values `[size, ...]`, f32; the first field where the
    /// data has no targets.
    pub fn target(&self) -> &Tensor {
        self.first(Role::Target)
    }

    /// A loader's data has an input, so there is a field.
    fn first(&self, role: Role) -> &Tensor {
        let place = self.fields.iter().position(|field| field.role == role);
        &self.tensors[place.unwrap_or(0)]
    }

    /// The number of samples; less than the loader's batch size in a short last batch.
    pub fn size(&self) -> usize {
        self.samples().len()
    }

    /// The batch's number in its epoch, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The epoch it belongs to.
    pub fn epoch(&self) -> u64 {
        self.plan.epoch
    }

    /// The index, in the data set, of each sample.
    pub fn samples(&self) -> &[usize] {
        self.plan.samples(self.index)
    }

    /// The handle that keeps the slot; clone it for as long as something reads the tensors. Its own
    /// tensors have room for a full batch, also where this batch is short.
    pub fn staged(&self) -> &Staged {
        &self.staged
    }
}
