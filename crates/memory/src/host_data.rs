//! Numbers on the host, of any element type: borrowed, owned, and owned with a shape.

use std::fmt;
use std::ops::Range;

use crate::staging::SliceMut;
use crate::{DType, MemoryError, MemoryManager, Shape, Tensor};

/// Elements on the host that belong to somebody else, in row-major order.
///
/// ```
/// use onestep_memory::{DType, HostData, MemoryManager};
///
/// let data = HostData::from(&[1.0f32, 2.0, 3.0, 4.0]);
/// assert_eq!((data.dtype(), data.len()), (DType::F32, 4));
/// let tensor = data.part(2..4).upload(&MemoryManager::host(), [1, 2])?;
/// assert_eq!(tensor.read::<f32>()?, [3.0, 4.0]);
/// # Ok::<(), onestep_memory::MemoryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HostData<'a> {
    /// For [`DType::F32`].
    F32(&'a [f32]),
    /// For [`DType::I32`]: labels and indices.
    I32(&'a [i32]),
    /// For [`DType::U8`].
    U8(&'a [u8]),
}

/// Does the same with the elements, of whatever type they are.
macro_rules! each {
    ($enum:ident, $data:expr, $values:ident => $result:expr) => {
        match $data {
            $enum::F32($values) => $result,
            $enum::I32($values) => $result,
            $enum::U8($values) => $result,
        }
    };
}

impl<'a> HostData<'a> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        each!(HostData, self, values => values.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        match self {
            HostData::F32(_) => DType::F32,
            HostData::I32(_) => DType::I32,
            HostData::U8(_) => DType::U8,
        }
    }

    /// Some of the elements; none where there are not as many.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> HostData<'a> {
        match *self {
            HostData::F32(values) => HostData::F32(values.get(range).unwrap_or_default()),
            HostData::I32(values) => HostData::I32(values.get(range).unwrap_or_default()),
            HostData::U8(values) => HostData::U8(values.get(range).unwrap_or_default()),
        }
    }

    /// Overwrites all elements of a tensor.
    ///
    /// # Errors
    /// Those of [`Tensor::write`].
    pub fn write_to(&self, tensor: &Tensor) -> Result<(), MemoryError> {
        each!(HostData, self, values => tensor.write(values))
    }

    /// A tensor of them.
    ///
    /// # Errors
    /// [`MemoryError::LengthMismatch`] for a shape of another number of elements, and those of
    /// [`MemoryManager::allocate`].
    pub fn upload(
        &self,
        memory: &MemoryManager,
        shape: impl Into<Shape>,
    ) -> Result<Tensor, MemoryError> {
        each!(HostData, self, values => memory.from_slice(shape, values))
    }
}

/// Elements on the host, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum HostValues {
    /// For [`DType::F32`].
    F32(Vec<f32>),
    /// For [`DType::I32`].
    I32(Vec<i32>),
    /// For [`DType::U8`].
    U8(Vec<u8>),
}

impl HostValues {
    /// So many zeros; of f32 for a type that is not kept on the host.
    pub fn zeros(dtype: DType, elements: usize) -> Self {
        match dtype {
            DType::I32 => HostValues::I32(vec![0; elements]),
            DType::U8 => HostValues::U8(vec![0; elements]),
            DType::F32 | DType::F16 | DType::BF16 => HostValues::F32(vec![0.0; elements]),
        }
    }

    /// The elements, to be looked at.
    pub fn as_data(&self) -> HostData<'_> {
        match self {
            HostValues::F32(values) => HostData::F32(values),
            HostValues::I32(values) => HostData::I32(values),
            HostValues::U8(values) => HostData::U8(values),
        }
    }

    /// The elements, to be written.
    pub fn as_mut(&mut self) -> SliceMut<'_> {
        match self {
            HostValues::F32(values) => SliceMut::F32(values),
            HostValues::I32(values) => SliceMut::I32(values),
            HostValues::U8(values) => SliceMut::U8(values),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.as_data().len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.as_data().dtype()
    }

    /// Overwrites the first elements; tells whether there are as many, of the same type.
    pub fn begin_with(&mut self, data: HostData<'_>) -> bool {
        fn copy<T: Copy>(to: &mut [T], from: &[T]) -> bool {
            let Some(to) = to.get_mut(..from.len()) else { return false };
            to.copy_from_slice(from);
            true
        }
        match (self, data) {
            (HostValues::F32(own), HostData::F32(data)) => copy(own, data),
            (HostValues::I32(own), HostData::I32(data)) => copy(own, data),
            (HostValues::U8(own), HostData::U8(data)) => copy(own, data),
            _ => false,
        }
    }
}

macro_rules! conversions {
    ($($element:ty => $variant:ident),*) => {$(
        impl<'a> From<&'a [$element]> for HostData<'a> {
            fn from(values: &'a [$element]) -> Self {
                HostData::$variant(values)
            }
        }

        impl<'a> From<&'a Vec<$element>> for HostData<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                HostData::$variant(values)
            }
        }

        impl<'a, const N: usize> From<&'a [$element; N]> for HostData<'a> {
            fn from(values: &'a [$element; N]) -> Self {
                HostData::$variant(values)
            }
        }

        impl From<Vec<$element>> for HostValues {
            fn from(values: Vec<$element>) -> Self {
                HostValues::$variant(values)
            }
        }
    )*};
}

conversions!(f32 => F32, i32 => I32, u8 => U8);

/// A tensor on the host.
///
/// ```
/// use onestep_memory::{HostTensor, MemoryError, MemoryManager, Shape};
///
/// let labels = HostTensor::new(Shape::from([2]), vec![3, 1])?;
/// assert_eq!(labels.to_string(), "i32[2]");
/// assert_eq!(labels.upload(&MemoryManager::host())?.read::<i32>()?, [3, 1]);
/// assert!(HostTensor::new(Shape::from([2]), vec![0.5]).is_err());
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    shape: Shape,
    values: HostValues,
}

impl HostTensor {
    /// A tensor of these elements.
    ///
    /// # Errors
    /// [`MemoryError::LengthMismatch`] where they are not as many as the shape says.
    pub fn new(
        shape: impl Into<Shape>,
        values: impl Into<HostValues>,
    ) -> Result<Self, MemoryError> {
        let (shape, values) = (shape.into(), values.into());
        if shape.elements() != values.len() {
            return Err(MemoryError::LengthMismatch { shape, got: values.len() });
        }
        Ok(HostTensor { shape, values })
    }

    /// A copy of a tensor of f32, i32 or u8 elements.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`] for another type, or what the device reports.
    pub fn read(tensor: &Tensor) -> Result<Self, MemoryError> {
        let values = match tensor.dtype() {
            DType::I32 => HostValues::I32(tensor.read()?),
            DType::U8 => HostValues::U8(tensor.read()?),
            _ => HostValues::F32(tensor.read()?),
        };
        Ok(HostTensor { shape: tensor.shape().clone(), values })
    }

    /// The dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The elements.
    pub fn values(&self) -> &HostValues {
        &self.values
    }

    /// The elements, without the shape.
    pub fn into_values(self) -> HostValues {
        self.values
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.values.dtype()
    }

    /// The tensor on a device.
    ///
    /// # Errors
    /// Those of [`MemoryManager::allocate`].
    pub fn upload(&self, memory: &MemoryManager) -> Result<Tensor, MemoryError> {
        self.values.as_data().upload(memory, self.shape.clone())
    }

    /// Whole numbers as f32, or as bytes where all are such; all else stays as it is.
    #[must_use]
    pub fn converted(self, to: DType) -> Self {
        let values = match (self.values, to) {
            (HostValues::I32(data), DType::F32) => data.into_iter().map(|x| x as f32).collect(),
            (HostValues::U8(data), DType::F32) => data.into_iter().map(f32::from).collect(),
            (HostValues::I32(data), DType::U8) => {
                let bytes = data.iter().map(|&x| u8::try_from(x)).collect::<Result<_, _>>();
                let values = bytes.map_or(HostValues::I32(data), HostValues::U8);
                return HostTensor { values, shape: self.shape };
            }
            (values, _) => return HostTensor { values, shape: self.shape },
        };
        HostTensor { shape: self.shape, values: HostValues::F32(values) }
    }
}

impl fmt::Display for HostTensor {
    /// Type and shape: `f32[2, 3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype(), self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_there_is_empty() {
        let data = HostData::from(&[1, 2, 3]);
        assert_eq!(data.part(1..3), HostData::I32(&[2, 3]));
        assert!(data.part(2..5).is_empty());
    }

    #[test]
    fn only_elements_of_the_same_type_and_not_too_many_are_taken() {
        let mut values = HostValues::zeros(DType::I32, 3);
        assert!(values.begin_with(HostData::from(&[7, 8])));
        assert_eq!(values, HostValues::I32(vec![7, 8, 0]));
        assert!(!values.begin_with(HostData::from(&[1; 4])));
        assert!(!values.begin_with(HostData::from(&[1.0])));
    }

    #[test]
    fn whole_numbers_become_f32_where_those_are_wanted() {
        let bytes = HostTensor::new([2], vec![1u8, 255]).unwrap();
        assert_eq!(bytes.converted(DType::F32).values(), &HostValues::F32(vec![1.0, 255.0]));
        let floats = HostTensor::new([1], vec![0.5f32]).unwrap();
        assert_eq!(floats.clone().converted(DType::I32), floats);
        let whole = |x| HostTensor::new([1], vec![x]).unwrap();
        assert_eq!(whole(255).converted(DType::U8).values(), &HostValues::U8(vec![255]));
        assert_eq!(whole(256).converted(DType::U8), whole(256));
    }
}
