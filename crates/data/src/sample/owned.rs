//! A sample in memory of its own.

use onestep_memory::{HostValues, SliceMut};

use super::place::{Places, SampleMut};
use super::values::FieldElement;
use crate::{DataError, Field, Fields};

/// Zeros for a field.
fn zeros(field: &Field) -> HostValues {
    HostValues::zeros(field.dtype, field.shape.elements())
}

/// One sample in vectors of its own: for looking at, and for data sets that read another.
///
/// ```
/// use onestep_data::{DataError, Sample, digits};
///
/// let sample = Sample::read(&digits()?, 0)?;
/// assert_eq!(sample.i32("target")?, [0]);
/// assert_eq!(sample.f32("input")?.len(), 64);
/// # Ok::<(), DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    fields: Fields,
    values: Vec<HostValues>,
}

impl Sample {
    /// Zeros for each field.
    pub fn new(fields: &Fields) -> Self {
        Self { fields: fields.clone(), values: fields.iter().map(zeros).collect() }
    }

    /// Zeros for each field of a sample of this length, where fields vary in it.
    pub(crate) fn of_length(fields: &Fields, length: Option<usize>) -> Result<Self, DataError> {
        let values = fields.iter().map(|field| {
            let shape = field.shape_at(length)?;
            Ok(zeros(&Field { shape, ..field.clone() }))
        });
        Ok(Self { fields: fields.clone(), values: values.collect::<Result<_, DataError>>()? })
    }

    /// The place to read into.
    pub fn as_mut(&mut self) -> SampleMut<'_> {
        SampleMut::new(&self.fields, &mut self.values)
    }

    /// What there is.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Each field with its elements.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &HostValues)> {
        self.fields.iter().zip(&self.values)
    }

    /// The elements of an f32 field.
    ///
    /// # Errors
    /// [`DataError::Field`] where there is no such field or where it has another type.
    pub fn f32(&self, name: &str) -> Result<&[f32], DataError> {
        self.of_type(name)
    }

    /// The elements of an i32 field.
    ///
    /// # Errors
    /// Those of [`f32`](Self::f32).
    pub fn i32(&self, name: &str) -> Result<&[i32], DataError> {
        self.of_type(name)
    }

    /// The elements of a u8 field.
    ///
    /// # Errors
    /// Those of [`f32`](Self::f32).
    pub fn u8(&self, name: &str) -> Result<&[u8], DataError> {
        self.of_type(name)
    }

    fn of_type<T: FieldElement>(&self, name: &str) -> Result<&[T], DataError> {
        let place = self.fields.position(name);
        let Some((field, values)) = place.and_then(|place| self.iter().nth(place)) else {
            return Err(DataError::field(name, format!("one of {}", self.fields.names()), "none"));
        };
        T::kept(values)
            .ok_or_else(|| DataError::field(name, field.dtype, format!("a reader of {}", T::DTYPE)))
    }
}

impl Places for Vec<HostValues> {
    fn place(&mut self, field: usize) -> Option<SliceMut<'_>> {
        self.get_mut(field).map(HostValues::as_mut)
    }

    fn two(&mut self, fields: [usize; 2]) -> Option<[SliceMut<'_>; 2]> {
        let two = self.get_disjoint_mut(fields).ok()?;
        Some(two.map(HostValues::as_mut))
    }
}
