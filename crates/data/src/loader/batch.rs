//! What the loader delivers.

use std::sync::Arc;

use onestep_memory::{DType, Shape, Staged, Tensor};

use super::order::EpochPlan;
use crate::{DataError, TargetSpec};

/// The tensors of one slot of the staging ring, by their place in its layout.
pub(crate) const INPUT: usize = 0;
pub(crate) const TARGET: usize = 1;

/// The layout of a staging slot: a full batch of inputs and one of targets.
pub(crate) fn layout(
    batch_size: usize,
    input: &Shape,
    target: &TargetSpec,
) -> Result<[(Shape, DType); 2], DataError> {
    let (target, dtype) = match target {
        TargetSpec::Classes { .. } => (Shape::scalar(), DType::I32),
        TargetSpec::Values { shape } => (shape.clone(), DType::F32),
    };
    Ok([(input.with_batch(batch_size)?, DType::F32), (target.with_batch(batch_size)?, dtype)])
}

/// Some samples, ready for the device.
///
/// The tensors lie in a slot of the loader's staging ring, and the slot is filled anew once the
/// batch and all clones of its [`staged`](Self::staged) handle are gone. Whoever still reads the
/// tensors after the batch was dropped (a step that is in flight) must keep such a clone.
#[derive(Debug)]
pub struct Batch {
    // Dropped before `staged`: a slot must not be free while these handles are alive.
    input: Tensor,
    target: Tensor,
    index: usize,
    plan: Arc<EpochPlan>,
    staged: Staged,
}

impl Batch {
    pub(crate) fn new(
        staged: Staged,
        plan: &Arc<EpochPlan>,
        index: usize,
    ) -> Result<Self, DataError> {
        let size = plan.samples(index).len();
        let part = |place: usize| -> Result<Tensor, DataError> {
            let whole = &staged.tensors()[place];
            let dims = whole.shape().dims();
            if dims[0] == size {
                return Ok(whole.clone());
            }
            let sample = Shape::new(&dims[1..])?;
            Ok(whole.view(0, sample.with_batch(size)?)?)
        };
        let (input, target) = (part(INPUT)?, part(TARGET)?);
        Ok(Self { input, target, index, plan: plan.clone(), staged })
    }

    /// The inputs, `[size, ...]`, f32.
    pub fn input(&self) -> &Tensor {
        &self.input
    }

    /// The targets: labels `[size]`, i32, or values `[size, ...]`, f32.
    pub fn target(&self) -> &Tensor {
        &self.target
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
