//! Targets of a data set that the loss is not defined for.

use std::sync::Arc;

use onestep_data::{DataError, Dataset, Fields, SampleMut};
use onestep_engine::DType;
use onestep_layers::LossSpec;

use super::Trainer;

/// A data set whose targets are probabilities, or the sample is refused by its name.
struct Probabilities {
    inner: Arc<dyn Dataset>,
    /// The field of the f32 target.
    probabilities: Option<String>,
    loss: LossSpec,
}

impl Trainer {
    /// The data set, with a look at each target where the loss does not take all numbers.
    pub(super) fn with_checked_targets(&self, dataset: Arc<dyn Dataset>) -> Arc<dyn Dataset> {
        let loss = &self.config.loss;
        if !loss.wants_probabilities() {
            return dataset;
        }
        let fields = dataset.fields();
        let target = fields.target().filter(|field| field.dtype == DType::F32);
        let probabilities = target.map(|field| field.name.clone());
        Arc::new(Probabilities { inner: dataset, probabilities, loss: loss.clone() })
    }
}

impl Dataset for Probabilities {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn fields(&self) -> Fields {
        self.inner.fields()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        self.inner.read(index, sample)?;
        let Some(name) = self.probabilities.as_deref() else { return Ok(()) };
        match sample.f32(name)?.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            None => Ok(()),
            Some(value) => Err(DataError::other(format!(
                "target: expected probabilities from 0 to 1 for {}, got {value}",
                self.loss
            ))),
        }
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.inner.class(index)
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.inner.length(index)
    }

    fn location(&self, index: usize) -> Option<String> {
        self.inner.location(index)
    }
}
