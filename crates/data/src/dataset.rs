//! The traits that data sets implement.

use onestep_memory::{HostValues, Shape};

use crate::random::KeyHasher;
use crate::{DataError, Fields, Role, Sample, SampleMut, TargetMut, TargetSpec};

/// A set of samples that can be read in any order, from several threads at a time.
///
/// A sample is named, typed [`Fields`]. `read` writes straight into the memory that the device will use,
/// so that a set that is held in memory costs no allocation and a single copy. What has one f32 input
/// and one target is shorter as a [`SimpleDataset`], which is a `Dataset` too.
///
/// ```
/// use onestep_data::{DataError, Dataset, Field, Fields, Sample, SampleMut};
///
/// /// Three numbers in a row and the one that follows.
/// struct Counting;
///
/// impl Dataset for Counting {
///     fn name(&self) -> &str {
///         "counting"
///     }
///     fn len(&self) -> usize {
///         7
///     }
///     fn fields(&self) -> Fields {
///         let names = (0..10).map(|number| number.to_string());
///         [Field::indices("numbers", [3], 10), Field::labels("next", [], names)].into()
///     }
///     fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
///         for (number, place) in sample.i32("numbers")?.iter_mut().enumerate() {
///             *place = (index + number) as i32;
///         }
///         sample.put("next", &[index as i32 + 3])
///     }
/// }
///
/// let sample = Sample::read(&Counting, 2)?;
/// assert_eq!((sample.i32("numbers")?, sample.i32("next")?), (&[2, 3, 4][..], &[5][..]));
/// # Ok::<(), DataError>(())
/// ```
pub trait Dataset: Send + Sync {
    /// The name that messages use.
    fn name(&self) -> &str;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each sample has, always the same.
    fn fields(&self) -> Fields;

    /// Writes sample `index`: all elements of every field.
    ///
    /// # Errors
    /// Whatever makes the sample unreadable. The loader adds the data set's name, the index and the
    /// [`location`](Self::location), and ends the epoch.
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError>;

    /// What a sample is, as a number of its own: what [`split`](crate::split) goes by, so that it must stay
    /// the sample's wherever that stands. Samples of one number stay together (the pictures of one patient);
    /// the number of a row, a file's name as [`fnv1a`](onestep_base::hash::fnv1a) will do, an index will
    /// not where samples are added or sorted.
    ///
    /// `None`, unless there is something better: then it is a hash of what the sample's inputs hold
    /// ([`sample_key`]), for which the sample is read. Not of its target, so that a label which is mended
    /// moves nothing, and so that no input is in both parts, under two labels.
    fn key(&self, index: usize) -> Option<u64> {
        let _ = index;
        None
    }

    /// The class of a sample, where it is known without reading the sample. It lets
    /// [`Pairs`](crate::Pairs) find samples of one class.
    fn class(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Where a sample comes from (a file), for messages.
    fn location(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// How long a sample is along the first axis of the fields that [vary](crate::Field::varying), known
    /// without reading it; `None` where it is as long as the shape says.
    fn length(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Whether each sample goes on where the one before ends. The loader then gives each row of its batches a
    /// part of the data of its own, through which it goes batch by batch.
    fn goes_on(&self) -> bool {
        false
    }

    /// The shape of the first input, without the batch: `[channels, height, width]` for pictures.
    fn input_shape(&self) -> Shape {
        self.fields().input().map_or_else(Shape::scalar, |field| field.shape.clone())
    }

    /// What there is to learn: the meaning of the first target. No values where there is none.
    fn target(&self) -> TargetSpec {
        let none = || TargetSpec::values(Shape::from([0]));
        self.fields().target().map_or_else(none, |field| field.target_spec())
    }
}

/// A data set with one f32 input and one target (a label, or f32 values), the short way.
///
/// It is a [`Dataset`] whose fields are called `input` and `target`.
///
/// ```
/// use onestep_data::{DataError, SimpleDataset, TargetMut, TargetSpec, read_sample};
/// use onestep_memory::Shape;
///
/// /// y = x^2 on a grid.
/// struct Parabola;
///
/// impl SimpleDataset for Parabola {
///     fn name(&self) -> &str {
///         "parabola"
///     }
///     fn len(&self) -> usize {
///         101
///     }
///     fn input_shape(&self) -> Shape {
///         Shape::from([1])
///     }
///     fn target(&self) -> TargetSpec {
///         TargetSpec::values(Shape::from([1]))
///     }
///     fn read(&self, index: usize, input: &mut [f32], target: TargetMut<'_>) -> Result<(), DataError> {
///         let x = index as f32 / 50.0 - 1.0;
///         input[0] = x;
///         target.set_values(&[x * x])
///     }
/// }
///
/// assert_eq!(read_sample(&Parabola, 0)?, (vec![-1.0], vec![1.0]));
/// # Ok::<(), DataError>(())
/// ```
pub trait SimpleDataset: Send + Sync {
    /// The name that messages use.
    fn name(&self) -> &str;

    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one input, without the batch: `[channels, height, width]` for pictures.
    fn input_shape(&self) -> Shape;

    /// What there is to learn.
    fn target(&self) -> TargetSpec;

    /// Writes sample `index`: all elements of `input`, row by row, and the target.
    ///
    /// # Errors
    /// As of [`Dataset::read`].
    fn read(&self, index: usize, input: &mut [f32], target: TargetMut<'_>)
    -> Result<(), DataError>;

    /// As [`Dataset::key`].
    fn key(&self, index: usize) -> Option<u64> {
        let _ = index;
        None
    }

    /// As [`Dataset::class`].
    fn class(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// As [`Dataset::location`].
    fn location(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }
}

impl<T: SimpleDataset> Dataset for T {
    fn name(&self) -> &str {
        SimpleDataset::name(self)
    }

    fn len(&self) -> usize {
        SimpleDataset::len(self)
    }

    fn is_empty(&self) -> bool {
        SimpleDataset::is_empty(self)
    }

    fn fields(&self) -> Fields {
        Fields::pair(SimpleDataset::input_shape(self), &SimpleDataset::target(self))
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let (input, target) = sample.pair()?;
        SimpleDataset::read(self, index, input, target)
    }

    fn key(&self, index: usize) -> Option<u64> {
        SimpleDataset::key(self, index)
    }

    fn class(&self, index: usize) -> Option<usize> {
        SimpleDataset::class(self, index)
    }

    fn location(&self, index: usize) -> Option<String> {
        SimpleDataset::location(self, index)
    }
}

impl Sample {
    /// Reads sample `index`.
    ///
    /// # Errors
    /// Those of [`Dataset::read`].
    pub fn read(dataset: &dyn Dataset, index: usize) -> Result<Self, DataError> {
        let mut sample = Self::of_length(&dataset.fields(), dataset.length(index))?;
        dataset.read(index, &mut sample.as_mut())?;
        Ok(sample)
    }
}

/// Reads one sample of an f32 input and one target into new vectors: the input, and the label as an `f32`
/// or the values.
///
/// For looking at single samples; [`Sample::read`] takes any fields, and the loader does not come this way.
///
/// # Errors
/// Those of [`Dataset::read`] and [`SampleMut::pair`].
pub fn read_sample(dataset: &dyn Dataset, index: usize) -> Result<(Vec<f32>, Vec<f32>), DataError> {
    let mut sample = Sample::read(dataset, index)?;
    let mut sample = sample.as_mut();
    let (input, target) = sample.pair()?;
    let target = match target {
        TargetMut::Label(label) => vec![*label as f32],
        TargetMut::Values(values) => values.to_vec(),
    };
    Ok((input.to_vec(), target))
}

/// The number that a [`split`](crate::split) goes by: the data set's own [`key`](Dataset::key), or else a hash
/// of the elements of the sample's inputs, the same on every platform and in every version.
///
/// ```
/// use onestep_data::{InMemory, sample_key};
/// use onestep_memory::Shape;
///
/// let set = |inputs: [f32; 3]| {
///     let targets = vec![1.0, 2.0, 3.0];
///     InMemory::regression("x", Shape::from([1]), inputs.to_vec(), Shape::from([1]), targets)
/// };
/// let (one, other) = (set([5.0, 6.0, 5.0])?, set([7.0, 8.0, 6.0])?);
/// assert_eq!(sample_key(&one, 0)?, sample_key(&one, 2)?);
/// assert_eq!(sample_key(&one, 1)?, sample_key(&other, 2)?);
/// assert_ne!(sample_key(&one, 0)?, sample_key(&one, 1)?);
/// # Ok::<(), onestep_data::DataError>(())
/// ```
///
/// # Errors
/// Those of [`Dataset::read`], with the sample.
pub fn sample_key(dataset: &dyn Dataset, index: usize) -> Result<u64, DataError> {
    if let Some(key) = dataset.key(index) {
        return Ok(key);
    }
    let sample = Sample::read(dataset, index).map_err(|source| {
        let (dataset, location) = (dataset.name().to_owned(), dataset.location(index));
        DataError::Sample { dataset, index, location, source: Box::new(source) }
    })?;
    let mut hasher = KeyHasher::new();
    for (_, values) in sample.iter().filter(|(field, _)| field.role == Role::Input) {
        hasher.add(&(values.len() as u64).to_le_bytes());
        match values {
            // Adding 0 makes one zero of the two.
            HostValues::F32(all) => all.iter().for_each(|x| hasher.add(&(x + 0.0).to_le_bytes())),
            HostValues::I32(all) => all.iter().for_each(|x| hasher.add(&x.to_le_bytes())),
            HostValues::U8(all) => hasher.add(all),
        }
    }
    Ok(hasher.finish())
}
