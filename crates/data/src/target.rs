//! What a sample teaches.

use std::fmt;
use std::sync::Arc;

use onestep_memory::Shape;

use crate::DataError;
use crate::shown::listed;

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

impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes { names } => write!(f, "{} classes ({})", names.len(), listed(names)),
            Self::Values { shape } => write!(f, "values of {shape}"),
        }
    }
}

/// The place that [`SimpleDataset::read`](crate::SimpleDataset::read) writes one sample's target to.
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
