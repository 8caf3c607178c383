//! The place that a sample is read into.

use onestep_memory::SliceMut;

use super::values::FieldElement;
use crate::{DataError, Field, Fields, Role, TargetMut};

/// Where the fields of one sample are written: slices of the memory that the device reads from, with as
/// many elements as the field's shape has (of a field that varies in length, as the sample has), row by
/// row. They hold what an earlier sample left.
///
/// ```
/// use onestep_data::{DataError, Field, Fields, Sample, SampleMut};
///
/// fn read(index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
///     sample.f32("position")?.fill(index as f32);
///     sample.i32("tokens")?.copy_from_slice(&[1, 2, 3]);
///     sample.put("weight", &[0.5f32])
/// }
///
/// let fields: Fields = [
///     Field::f32("position", [2]),
///     Field::indices("tokens", [3], 10),
///     Field::weight("weight"),
/// ]
/// .into();
/// let mut sample = Sample::new(&fields);
/// read(7, &mut sample.as_mut())?;
/// assert_eq!(sample.f32("position")?, [7.0, 7.0]);
/// assert_eq!(
///     sample.as_mut().i32("position").unwrap_err().to_string(),
///     "field `position`: expected f32, got a reader of i32"
/// );
/// # Ok::<(), DataError>(())
/// ```
pub struct SampleMut<'a> {
    fields: &'a Fields,
    places: &'a mut (dyn Places + 'a),
}

/// Memory for one sample, field by field.
pub(crate) trait Places {
    fn place(&mut self, field: usize) -> Option<SliceMut<'_>>;
    /// The places of two different fields.
    fn two(&mut self, fields: [usize; 2]) -> Option<[SliceMut<'_>; 2]>;
}

impl<'a> SampleMut<'a> {
    pub(crate) fn new(fields: &'a Fields, places: &'a mut (dyn Places + 'a)) -> Self {
        Self { fields, places }
    }

    /// What is to be written.
    pub fn fields(&self) -> &Fields {
        self.fields
    }

    /// The elements of an f32 field.
    ///
    /// # Errors
    /// [`DataError::Field`] where there is no such field or where it has another type.
    pub fn f32(&mut self, name: &str) -> Result<&mut [f32], DataError> {
        self.of_type(name)
    }

    /// The elements of an i32 field.
    ///
    /// # Errors
    /// Those of [`f32`](Self::f32).
    pub fn i32(&mut self, name: &str) -> Result<&mut [i32], DataError> {
        self.of_type(name)
    }

    /// The elements of a u8 field.
    ///
    /// # Errors
    /// Those of [`f32`](Self::f32).
    pub fn u8(&mut self, name: &str) -> Result<&mut [u8], DataError> {
        self.of_type(name)
    }

    /// Writes all elements of a field.
    ///
    /// # Errors
    /// Those of [`f32`](Self::f32), and where `values` are more or fewer than the field's elements.
    pub fn put<T: FieldElement>(&mut self, name: &str, values: &[T]) -> Result<(), DataError> {
        self.put_at((usize::MAX, name), values)
    }

    /// [`put`](Self::put) for a data set that knows where the field most likely stands.
    pub(crate) fn put_at<T: FieldElement>(
        &mut self,
        place: (usize, &str),
        values: &[T],
    ) -> Result<(), DataError> {
        self.slice_at(place, values.len())?.copy_from_slice(values);
        Ok(())
    }

    /// The `length` elements of a field that most likely stands at a place.
    pub(crate) fn slice_at<T: FieldElement>(
        &mut self,
        (place, name): (usize, &str),
        length: usize,
    ) -> Result<&mut [T], DataError> {
        let is_there = self.fields.get(place).is_some_and(|field| field.name == name);
        let slice = if is_there { self.of_type_at(place) } else { self.of_type(name) }?;
        if slice.len() != length {
            let wanted = format!("{} elements", slice.len());
            return Err(DataError::field(name, wanted, length));
        }
        Ok(slice)
    }

    /// The elements of the field at a place, of whatever type.
    pub(crate) fn slice(&mut self, place: usize) -> Option<SliceMut<'_>> {
        self.places.place(place)
    }

    /// The elements of the field at a place among the fields.
    pub(crate) fn at<T: FieldElement>(&mut self, place: usize) -> Option<&mut [T]> {
        T::of(self.places.place(place)?)
    }

    fn of_type<T: FieldElement>(&mut self, name: &str) -> Result<&mut [T], DataError> {
        let Some(place) = self.fields.position(name) else {
            return Err(DataError::field(name, format!("one of {}", self.fields.names()), "none"));
        };
        self.of_type_at(place)
    }

    fn of_type_at<T: FieldElement>(&mut self, place: usize) -> Result<&mut [T], DataError> {
        let Field { name, dtype, .. } = &self.fields[place];
        if *dtype != T::DTYPE {
            return Err(DataError::field(name, dtype, format!("a reader of {}", T::DTYPE)));
        }
        self.at(place).ok_or_else(|| DataError::field(name, "a place", "none"))
    }

    /// The places of a simple sample, of one f32 input and one target.
    ///
    /// # Errors
    /// [`DataError::Field`] where the first input is no f32, or the first target neither one label nor
    /// f32 values.
    pub fn pair(&mut self) -> Result<(&mut [f32], TargetMut<'_>), DataError> {
        let fields = self.fields;
        let place = |role: Role| {
            let place = fields.iter().position(|field| field.role == role);
            place.ok_or_else(|| {
                let wanted = if role == Role::Input { "an input" } else { "a target" };
                DataError::setting("fields", wanted, fields.names())
            })
        };
        let places = [place(Role::Input)?, place(Role::Target)?];
        let [input, target] = places.map(|place| &fields[place]);
        let refuse = |field: &Field, wanted| DataError::field(&field.name, wanted, field.dtype);
        let both = self.places.two(places).ok_or_else(|| refuse(input, "a place"))?;
        match both {
            [SliceMut::F32(input), SliceMut::F32(values)] => Ok((input, TargetMut::Values(values))),
            [SliceMut::F32(input), SliceMut::I32([label])] => Ok((input, TargetMut::Label(label))),
            [SliceMut::F32(_), _] => Err(refuse(target, "one i32 label, or f32 values")),
            _ => Err(refuse(input, "f32")),
        }
    }
}

impl std::fmt::Debug for SampleMut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleMut").field("fields", &self.fields).finish_non_exhaustive()
    }
}
