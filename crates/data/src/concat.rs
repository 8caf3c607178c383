//! Several sets as one.

use std::sync::Arc;

use crate::{DataError, Dataset, Fields, SampleMut};

/// The samples of several data sets of one kind, one set after the other.
///
/// ```
/// use onestep_data::{ConcatDataset, DataError, Dataset, open};
///
/// let data = open("digits")?;
/// let all = ConcatDataset::new(vec![data.train, data.validation])?;
/// assert_eq!(all.len(), 1797);
/// # Ok::<(), DataError>(())
/// ```
#[derive(Clone)]
pub struct ConcatDataset {
    parts: Vec<Arc<dyn Dataset>>,
}

impl ConcatDataset {
    /// The samples of these sets in their order. The name is that of the first.
    ///
    /// # Errors
    /// [`DataError::Empty`] without sets, [`DataError::Setting`] where the fields of one are not those
    /// of the first.
    pub fn new(parts: Vec<Arc<dyn Dataset>>) -> Result<Self, DataError> {
        let Some(first) = parts.first() else {
            return Err(DataError::Empty { dataset: "a concatenation of no sets".to_owned() });
        };
        for part in &parts {
            first.fields().fits(&part.fields(), "set behind others")?;
        }
        Ok(Self { parts })
    }

    /// The set that a sample is from, and its number there.
    fn part(&self, mut index: usize) -> Option<(&dyn Dataset, usize)> {
        for part in &self.parts {
            if index < part.len() {
                return Some((part.as_ref(), index));
            }
            index -= part.len();
        }
        None
    }
}

impl Dataset for ConcatDataset {
    fn name(&self) -> &str {
        self.parts[0].name()
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    fn fields(&self) -> Fields {
        self.parts[0].fields()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let Some((part, inner)) = self.part(index) else {
            let (dataset, len) = (self.name().to_owned(), self.len());
            return Err(DataError::Index { dataset, index, len });
        };
        part.read(inner, sample)
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.part(index).and_then(|(part, inner)| part.key(inner))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.part(index).and_then(|(part, inner)| part.class(inner))
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.part(index).and_then(|(part, inner)| part.length(inner))
    }

    fn location(&self, index: usize) -> Option<String> {
        self.part(index).and_then(|(part, inner)| part.location(inner))
    }
}
