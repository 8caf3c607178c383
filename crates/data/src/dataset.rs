//! The trait that every data set implements.

use std::sync::Arc;

use onestep_memory::Shape;

use crate::DataError;

/// What a data set teaches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetSpec {
    /// One class per sample, given as an `i32` label from 0 to `names.len() - 1`.
    Classes {
        /// The name of each class, in the order of the labels.
        names: Arc<[String]>,
    },
    /// `f32` values per sample.
    Values {
        /// Their shape, without the batch.
        shape: Shape,
    },
}

impl TargetSpec {
    /// `count` classes that are named "0", "1", and so on.
    pub fn classes(count: usize) -> Self {
        Self::named_classes((0..count).map(|label| label.to_string()))
    }

    /// Classes with these names, label 0 first.
    pub fn named_classes<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Classes { names: names.into_iter().map(Into::into).collect() }
    }

    /// Values of this shape (per sample).
    pub fn values(shape: Shape) -> Self {
        Self::Values { shape }
    }

    /// The number of classes; `None` where the targets are values.
    pub fn class_count(&self) -> Option<usize> {
        match self {
            Self::Classes { names } => Some(names.len()),
            Self::Values { .. } => None,
        }
    }
}

/// The place that [`Dataset::read`] writes one sample's target to.
#[derive(Debug)]
pub enum TargetMut<'a> {
    /// For [`TargetSpec::Classes`].
    Label(&'a mut i32),
    /// For [`TargetSpec::Values`]: as many elements as the shape has.
    Values(&'a mut [f32]),
}

impl TargetMut<'_> {
    /// Writes a class label.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the place is for values.
    pub fn set_label(self, label: i32) -> Result<(), DataError> {
        match self {
            Self::Label(place) => {
                *place = label;
                Ok(())
            }
            Self::Values(place) => Err(DataError::setting(
                "target",
                format!("{} values", place.len()),
                format!("the class label {label}"),
            )),
        }
    }

    /// Writes values.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the place is for a label or for another number of values.
    pub fn set_values(self, values: &[f32]) -> Result<(), DataError> {
        let wanted = match self {
            Self::Values(place) if place.len() == values.len() => {
                place.copy_from_slice(values);
                return Ok(());
            }
            Self::Values(place) => format!("{} values", place.len()),
            Self::Label(_) => "a class label".to_owned(),
        };
        Err(DataError::setting("target", wanted, format!("{} values", values.len())))
    }
}

/// A set of samples that can be read in any order, from several threads at a time.
///
/// `read` writes straight into the memory that the device will use, so that a set that is held in
/// memory costs no allocation and a single copy.
///
/// ```
/// use onestep_data::{DataError, Dataset, TargetMut, TargetSpec};
/// use onestep_memory::Shape;
///
/// /// y = x^2 on a grid.
/// struct Parabola;
///
/// impl Dataset for Parabola {
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
/// let (mut input, mut output) = ([0.0], [0.0]);
/// Parabola.read(0, &mut input, TargetMut::Values(&mut output))?;
/// assert_eq!((input, output), ([-1.0], [1.0]));
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

    /// The shape of one input, without the batch: `[channels, height, width]` for pictures.
    fn input_shape(&self) -> Shape;

    /// What there is to learn.
    fn target(&self) -> TargetSpec;

    /// Writes sample `index`: all elements of `input`, row by row, and the target.
    ///
    /// # Errors
    /// Whatever makes the sample unreadable. The loader adds the data set's name, the index and the
    /// [`location`](Self::location), and ends the epoch.
    fn read(&self, index: usize, input: &mut [f32], target: TargetMut<'_>)
    -> Result<(), DataError>;

    /// The class of a sample, where it is known without reading the input. It lets
    /// [`split`](crate::split) keep the share of each class.
    fn class(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Where a sample comes from (a file), for messages.
    fn location(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }
}

/// Reads one sample into new vectors: the input, and the label as an `f32` or the values.
///
/// For looking at single samples; the loader does not come this way.
///
/// # Errors
/// Those of [`Dataset::read`].
pub fn read_sample(dataset: &dyn Dataset, index: usize) -> Result<(Vec<f32>, Vec<f32>), DataError> {
    let mut input = vec![0.0; dataset.input_shape().elements()];
    match dataset.target() {
        TargetSpec::Classes { .. } => {
            let mut label = 0;
            dataset.read(index, &mut input, TargetMut::Label(&mut label))?;
            Ok((input, vec![label as f32]))
        }
        TargetSpec::Values { shape } => {
            let mut values = vec![0.0; shape.elements()];
            dataset.read(index, &mut input, TargetMut::Values(&mut values))?;
            Ok((input, values))
        }
    }
}
