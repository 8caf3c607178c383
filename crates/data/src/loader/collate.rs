//! How samples of different lengths become a batch.

use crate::{DataError, Dataset, Field, Fields, Meaning, Role};

/// How fields that [vary](Field::varying) in length are brought to one: samples of about the same length
/// go into one batch, which is padded to the bound of their bucket. A batch has the length of its bucket,
/// so that there are no more plans than buckets.
///
/// Padded are labels with [`IGNORED`](crate::IGNORED), everything else with 0. Every sample comes once an
/// epoch; which samples share a batch and the order of the batches follow from the seed and the epoch.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{
///     Collation, DataError, DataLoader, Dataset, Field, Fields, IGNORED, SampleMut,
/// };
/// use onestep_memory::MemoryManager;
///
/// /// Sample i is i + 1 tokens.
/// struct Words;
///
/// impl Dataset for Words {
///     fn name(&self) -> &str {
///         "words"
///     }
///     fn len(&self) -> usize {
///         8
///     }
///     fn fields(&self) -> Fields {
///         let next = Field::labels("next", [8], ["a", "b"]).ignoring().varying();
///         [Field::indices("tokens", [8], 9).varying(), next].into()
///     }
///     fn length(&self, index: usize) -> Option<usize> {
///         Some(index + 1)
///     }
///     fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
///         sample.i32("tokens")?.fill(index as i32 + 1); // index + 1 places
///         sample.i32("next")?.fill(1);
///         Ok(())
///     }
/// }
///
/// let collation = Collation::buckets([4]).with_mask("mask").with_length("length");
/// let mut loader = DataLoader::builder(Arc::new(Words))
///     .batch_size(4)
///     .collate(collation)
///     .build(&MemoryManager::host())?;
/// let batches: Vec<_> = loader.epoch(0).collect::<Result<_, _>>()?;
/// let shapes: Vec<_> = batches.iter().map(|b| b.input().shape().dims().to_vec()).collect();
/// assert_eq!(shapes, [[4, 4], [4, 8]]);
/// assert_eq!(batches[0].tensor("length").unwrap().read::<i32>()?, [1, 2, 3, 4]);
/// assert_eq!(batches[0].target().read::<i32>()?[..4], [1, IGNORED, IGNORED, IGNORED]);
/// assert_eq!(batches[0].tensor("mask").unwrap().read::<u8>()?[4..8], [1, 1, 0, 0]);
/// # Ok::<(), DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collation {
    bounds: Vec<usize>,
    mask: Option<String>,
    length: Option<String>,
}

impl Collation {
    /// Buckets of up to so many positions each, in rising order. What is longer goes into a last one, as
    /// long as the fields are.
    pub fn buckets(bounds: impl Into<Vec<usize>>) -> Self {
        Self { bounds: bounds.into(), ..Self::default() }
    }

    /// Adds an input u8 `[length]` of this name: 1 where a sample has a position, 0 where it is padded.
    #[must_use]
    pub fn with_mask(mut self, name: impl Into<String>) -> Self {
        self.mask = Some(name.into());
        self
    }

    /// Adds an input i32 `[]` of this name: how many positions a sample has.
    #[must_use]
    pub fn with_length(mut self, name: impl Into<String>) -> Self {
        self.length = Some(name.into());
        self
    }

    /// Whether batches have a mask, and whether they have lengths.
    pub(crate) fn added(&self) -> Added {
        Added { mask: self.mask.is_some(), length: self.length.is_some() }
    }

    /// What the loader has to know of a data set's lengths; `None` where its fields do not vary.
    pub(crate) fn plan(&self, dataset: &dyn Dataset) -> Result<Option<Lengths>, DataError> {
        let fields = dataset.fields();
        let varying = || fields.iter().filter(|field| field.varies);
        let Some(first) = varying().next() else {
            if *self == Self::default() {
                return Ok(None);
            }
            let wanted = "a field that varies in length, to collate by";
            return Err(DataError::setting("collation", wanted, fields.names()));
        };
        let longest = first.shape.dims().first().copied().unwrap_or(0);
        for field in varying() {
            check_varying(field, longest)?;
        }
        let mut bounds = self.bounds.clone();
        let is_rising = bounds.is_sorted_by(|a, b| a < b) && bounds.first() != Some(&0);
        if !is_rising || bounds.last().is_some_and(|last| *last > longest) {
            let wanted = format!("rising lengths from 1 to {longest}");
            return Err(DataError::setting("buckets", wanted, format!("{bounds:?}")));
        }
        if bounds.last() != Some(&longest) {
            bounds.push(longest);
        }
        let mut buckets = Vec::with_capacity(dataset.len());
        for index in 0..dataset.len() {
            let length = dataset.length(index).unwrap_or(longest);
            let Some(bucket) = bounds.iter().position(|bound| length <= *bound) else {
                let (dataset, index) = (dataset.name().to_owned(), index);
                let wanted = format!("a length up to {longest}");
                let source = Box::new(DataError::field(&first.name, wanted, length));
                return Err(DataError::Sample { dataset, index, location: None, source });
            };
            buckets.push(bucket);
        }
        Ok(Some(Lengths { bounds, buckets }))
    }

    /// The fields of a batch: those of the data set, and the mask and the length.
    pub(crate) fn fields(&self, fields: &Fields) -> Fields {
        let longest = fields.iter().find(|field| field.varies).map(|field| field.shape.dims()[0]);
        let mut all = fields.to_vec();
        if let (Some(name), Some(longest)) = (&self.mask, longest) {
            all.push(Field::u8(name, [longest]).varying());
        }
        if let (Some(name), Some(longest)) = (&self.length, longest) {
            all.push(Field::indices(name, [], longest + 1));
        }
        all.into()
    }
}

fn check_varying(field: &Field, longest: usize) -> Result<(), DataError> {
    let length = field.shape.dims().first();
    if length != Some(&longest) {
        let wanted = format!("{longest} positions, as other fields that vary in length");
        return Err(DataError::field(&field.name, wanted, &field.shape));
    }
    let is_label = matches!(field.meaning, Meaning::Classes { .. });
    if is_label && !field.ignores() {
        let wanted = "labels that may be ignored (`ignoring`), as they are padded";
        return Err(DataError::field(&field.name, wanted, "labels that all count"));
    }
    if field.role == Role::Weight {
        return Err(DataError::field(&field.name, "one weight a sample", &field.shape));
    }
    Ok(())
}

/// The fields of a batch that are not the data set's, behind those that are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) mask: bool,
    pub(crate) length: bool,
}

/// The lengths of a data set's samples, by the buckets that they are in.
#[derive(Debug)]
pub(crate) struct Lengths {
    /// The longest sample of each bucket.
    pub(crate) bounds: Vec<usize>,
    /// The bucket of each sample.
    pub(crate) buckets: Vec<usize>,
}
