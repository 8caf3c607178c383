//! The place that a sample is read into.

use std::ops::Range;

use onestep_memory::{Element, HostValues, SliceMut, StagingSlot};
use smallvec::SmallVec;

use crate::{DataError, Field, Fields, IGNORED, Role, TargetMut};

/// Batches of up to so many fields are made without heap memory.
pub(crate) const INLINE_FIELDS: usize = 8;

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

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i32 {}
    impl Sealed for u8 {}
}

/// A type that a field's elements may have: f32, i32 or u8.
pub trait FieldElement: Element + sealed::Sealed {
    #[doc(hidden)]
    fn of(slice: SliceMut<'_>) -> Option<&mut [Self]>;
    #[doc(hidden)]
    fn kept(values: &HostValues) -> Option<&[Self]>;
}

macro_rules! field_elements {
    ($($type:ty => $case:ident),*) => {$(
        impl FieldElement for $type {
            fn of(slice: SliceMut<'_>) -> Option<&mut [Self]> {
                match slice {
                    SliceMut::$case(slice) => Some(slice),
                    _ => None,
                }
            }
            fn kept(values: &HostValues) -> Option<&[Self]> {
                match values {
                    HostValues::$case(values) => Some(values),
                    _ => None,
                }
            }
        }
    )*};
}

field_elements! { f32 => F32, i32 => I32, u8 => U8 }

/// A slot of the staging ring as places for one sample after the other.
pub(crate) struct Rows<'a> {
    columns: SmallVec<[Column<'a>; INLINE_FIELDS]>,
    row: usize,
}

/// All elements of a field in a batch.
struct Column<'a> {
    elements: SliceMut<'a>,
    /// The elements of a row.
    each: usize,
    /// Those of them that the sample at hand has; the rest is padded.
    used: usize,
    /// The elements of a position, of a field that varies in length.
    position: Option<usize>,
}

impl<'a> Rows<'a> {
    /// A slot for samples that are padded to `length` positions, where they vary in length.
    pub(crate) fn of(
        slot: &'a mut StagingSlot,
        fields: &Fields,
        length: Option<usize>,
    ) -> Result<Self, DataError> {
        let columns = slot.slices_mut().zip(fields.iter()).map(|(elements, field)| {
            let each = field.shape_at(length)?.elements();
            let position = length.filter(|_| field.varies).map(|length| each / length.max(1));
            Ok(Column { elements: elements?, each, used: each, position })
        });
        Ok(Self { columns: columns.collect::<Result<_, DataError>>()?, row: 0 })
    }

    /// Puts the labels of the batch in place of a field, whose own elements it gives.
    pub(crate) fn replace(&mut self, field: usize, labels: &'a mut [i32]) -> Option<SliceMut<'a>> {
        let elements = SliceMut::I32(labels);
        let column = Column { elements, each: 1, used: 1, position: None };
        let old = std::mem::replace(self.columns.get_mut(field)?, column);
        Some(old.elements)
    }

    /// All elements of an f32 field in the batch.
    pub(crate) fn all(&mut self, field: usize) -> Option<&mut [f32]> {
        match &mut self.columns.get_mut(field)?.elements {
            SliceMut::F32(all) => Some(all),
            _ => None,
        }
    }

    /// All labels of the batch, of a field that they were put in place of.
    pub(crate) fn labels(&self, field: usize) -> Option<&[i32]> {
        match &self.columns.get(field)?.elements {
            SliceMut::I32(all) => Some(all),
            _ => None,
        }
    }

    /// Goes to a sample of the batch, which has `length` positions.
    pub(crate) fn at(&mut self, row: usize, length: usize) {
        self.row = row;
        for column in &mut self.columns {
            column.used = column.position.map_or(column.each, |each| each * length);
        }
    }

    /// Writes what stands in place of the positions that the sample does not have.
    pub(crate) fn pad(&mut self, fields: &Fields) {
        for (column, field) in self.columns.iter_mut().zip(fields.iter()) {
            let range = self.row * column.each + column.used..(self.row + 1) * column.each;
            match column.slice(range) {
                Some(SliceMut::F32(rest)) => rest.fill(0.0),
                Some(SliceMut::I32(rest)) if field.ignores() => rest.fill(IGNORED),
                Some(SliceMut::I32(rest)) => rest.fill(0),
                Some(SliceMut::U8(rest)) => rest.fill(0),
                _ => {}
            }
        }
    }
}

impl Column<'_> {
    fn row(&mut self, row: usize) -> Option<SliceMut<'_>> {
        let start = row * self.each;
        self.slice(start..start + self.used)
    }

    fn slice(&mut self, range: Range<usize>) -> Option<SliceMut<'_>> {
        Some(match &mut self.elements {
            SliceMut::F32(all) => SliceMut::F32(all.get_mut(range)?),
            SliceMut::F16(all) => SliceMut::F16(all.get_mut(range)?),
            SliceMut::BF16(all) => SliceMut::BF16(all.get_mut(range)?),
            SliceMut::I32(all) => SliceMut::I32(all.get_mut(range)?),
            SliceMut::U8(all) => SliceMut::U8(all.get_mut(range)?),
        })
    }
}

impl Places for Rows<'_> {
    fn place(&mut self, field: usize) -> Option<SliceMut<'_>> {
        self.columns.get_mut(field)?.row(self.row)
    }

    fn two(&mut self, fields: [usize; 2]) -> Option<[SliceMut<'_>; 2]> {
        let [one, other] = self.columns.get_disjoint_mut(fields).ok()?;
        Some([one.row(self.row)?, other.row(self.row)?])
    }
}

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
        SampleMut { fields: &self.fields, places: &mut self.values }
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
