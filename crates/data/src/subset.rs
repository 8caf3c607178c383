//! Parts of data sets.

use std::sync::Arc;

use crate::{DataError, Dataset, Fields, SampleMut};

/// Some samples of another data set, in a given order.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// The samples of `dataset` that `indices` names; one may be named more than once.
    ///
    /// # Errors
    /// [`DataError::Index`] for an index past the end, [`DataError::Empty`] without indices.
    pub fn new(dataset: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, DataError> {
        let len = dataset.len();
        if let Some(&index) = indices.iter().find(|&&index| index >= len) {
            return Err(DataError::Index { dataset: dataset.name().to_owned(), index, len });
        }
        if indices.is_empty() {
            return Err(DataError::Empty { dataset: format!("a subset of {}", dataset.name()) });
        }
        Ok(Self { dataset, indices })
    }

    /// The index, in the whole set, of each sample.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn original(&self, index: usize) -> Result<usize, DataError> {
        let len = self.indices.len();
        self.indices.get(index).copied().ok_or_else(|| DataError::Index {
            dataset: self.name().to_owned(),
            index,
            len,
        })
    }
}

impl Dataset for Subset {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn fields(&self) -> Fields {
        self.dataset.fields()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        self.dataset.read(self.original(index)?, sample)
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.dataset.class(*self.indices.get(index)?)
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.dataset.key(*self.indices.get(index)?)
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.dataset.length(*self.indices.get(index)?)
    }

    fn location(&self, index: usize) -> Option<String> {
        let original = *self.indices.get(index)?;
        let place = self.dataset.location(original);
        Some(place.unwrap_or_else(|| format!("sample {original} of the whole set")))
    }
}

#[cfg(test)]
mod tests {
    use onestep_memory::Shape;

    use super::*;
    use crate::{InMemory, read_sample};

    fn hundred() -> Arc<dyn Dataset> {
        let inputs: Vec<f32> = (0..100).map(|i| i as f32).collect();
        let shape = Shape::from([1]);
        let set = InMemory::regression("hundred", shape.clone(), inputs.clone(), shape, inputs);
        Arc::new(set.unwrap())
    }

    #[test]
    fn a_subset_reads_the_named_samples() {
        let set = Subset::new(hundred(), vec![42, 7]).unwrap();
        assert_eq!(read_sample(&set, 1).unwrap().0, [7.0]);
        assert!(read_sample(&set, 2).is_err());
        assert_eq!(set.location(0).unwrap(), "sample 42 of the whole set");
    }

    #[test]
    fn no_samples_and_samples_that_are_not_there_are_refused() {
        assert!(Subset::new(hundred(), vec![]).is_err());
        assert!(Subset::new(hundred(), vec![100]).is_err());
    }
}
