//! A data set in its parts.

use std::sync::Arc;

use crate::{DataError, DataRecord, Dataset, Division, Pipeline, TargetSpec};

/// A data set to learn from and one to validate on, with the same kind of samples.
#[derive(Clone)]
#[non_exhaustive]
pub struct DataSplits {
    /// What the data is called.
    pub name: String,
    /// The samples to learn from.
    pub train: Arc<dyn Dataset>,
    /// The samples that are never learned from, to choose by while training.
    pub validation: Arc<dyn Dataset>,
    /// The samples that are not even chosen by, where the data has a third part.
    pub test: Option<Arc<dyn Dataset>>,
    /// What suits the inputs (empty where nothing is known to): augmentation for training alone, and
    /// steps that are always applied, such as the normalisation of a table's columns.
    pub augmentation: Pipeline,
    /// What a model learns from this data beside its parameters, and must keep.
    pub record: DataRecord,
    /// What was decided about the data where nobody had said so, a sentence each, for people to read.
    pub notes: Vec<String>,
}

impl DataSplits {
    /// Two sets that belong together. The [`record`](Self::record) has the names of their classes
    /// and their fields.
    ///
    /// # Errors
    /// [`DataError::Setting`] where their fields differ, [`DataError::Empty`]
    /// where one has no samples.
    pub fn new(
        name: impl Into<String>,
        train: Arc<dyn Dataset>,
        validation: Arc<dyn Dataset>,
    ) -> Result<Self, DataError> {
        for part in [&train, &validation] {
            if part.is_empty() {
                return Err(DataError::Empty { dataset: part.name().to_owned() });
            }
        }
        train.fields().fits(&validation.fields(), "validation part")?;
        let classes = match train.target() {
            TargetSpec::Classes { names } => Some(names.to_vec()),
            TargetSpec::Values { .. } => None,
        };
        let division = Some(Division::Given);
        let mut record = DataRecord { classes, division, ..DataRecord::default() };
        record.keep_fields(&train.fields());
        let (augmentation, notes) = (Pipeline::new(), Vec::new());
        Ok(Self { name: name.into(), train, validation, test: None, augmentation, record, notes })
    }

    /// The same sets with a suggestion of what to do to their inputs.
    #[must_use]
    pub fn with_augmentation(mut self, augmentation: Pipeline) -> Self {
        self.augmentation = augmentation;
        self
    }

    /// The same sets with a third part.
    ///
    /// # Errors
    /// [`DataError::Setting`] where its fields differ.
    pub fn with_test(mut self, test: Arc<dyn Dataset>) -> Result<Self, DataError> {
        self.train.fields().fits(&test.fields(), "test part")?;
        self.test = Some(test);
        Ok(self)
    }

    /// The same sets with a sentence more on what was decided.
    #[must_use]
    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        log::info!("{}: {note}", self.name);
        self.notes.push(note);
        self
    }
}

impl std::fmt::Debug for DataSplits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataSplits")
            .field("name", &self.name)
            .field("train", &self.train.len())
            .field("validation", &self.validation.len())
            .field("test", &self.test.as_ref().map(|test| test.len()))
            .field("augmentation", &self.augmentation)
            .field("record", &self.record)
            .field("notes", &self.notes)
            .finish()
    }
}
