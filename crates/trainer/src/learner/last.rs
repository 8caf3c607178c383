//! What the last step of a mode was given, by which its results are found.

use std::collections::BTreeMap;

use onestep_engine::{Feeds, Mode, Signature, Type};

use crate::TrainerError;

/// The fields of a batch. Its memory is taken once, so that a step allocates nothing.
#[derive(Default)]
pub(super) struct LastBatch {
    names: Vec<String>,
    pub(super) types: Vec<Type>,
}

impl LastBatch {
    pub(super) fn note(&mut self, feeds: Feeds<'_>) {
        if self.names != feeds.names {
            self.names = feeds.names.to_vec();
        }
        self.types.clear();
        let types = feeds.tensors.iter();
        self.types.extend(types.map(|t| Type { shape: t.shape().clone(), dtype: t.dtype() }));
    }

    pub(super) fn signature(&self) -> Result<Signature, TrainerError> {
        Ok(Signature::new(self.names.iter().cloned().zip(self.types.iter().cloned()))?)
    }
}

/// The place of a mode's last batch.
pub(super) fn place(mode: Mode) -> usize {
    match mode {
        Mode::Train | Mode::Accumulate => 0,
        Mode::Evaluate => 1,
        Mode::Predict => 2,
    }
}

/// Outputs and gradients by the names they are read by.
pub(super) type Readings = BTreeMap<String, Vec<f32>>;
