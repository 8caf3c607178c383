//! Reference-counted tensors.

use std::fmt;
use std::ptr::NonNull;

use crate::{BufferToken, DType, Element, MemoryError, PooledBuffer, Shape};

/// What [`Tensor::fill_zero`] writes at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A handle on elements in device memory, contiguous and row-major.
///
/// Cloning retains the buffer and views share it; the last of them to be dropped returns it to its
/// pool. The handle holds no data, and it does not say who may write: like a file descriptor, it
/// can be shared, and [`Tensor::read`] and [`Tensor::write`] are atomic with respect to each other.
///
/// ```
/// use onestep_memory::{MemoryError, MemoryManager};
///
/// let memory = MemoryManager::host();
/// let matrix = memory.zeros([2, 2], onestep_memory::DType::F32)?;
/// let row = matrix.view(2, [2])?;
/// row.write(&[3.0f32, 4.0])?;
/// assert_eq!(matrix.read::<f32>()?, [0.0, 0.0, 3.0, 4.0]);
/// assert!(row.is_same_buffer(&matrix));
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    buffer: PooledBuffer,
    shape: Shape,
    dtype: DType,
    /// Of the first element, in bytes from the start of the buffer.
    offset: usize,
}

impl Tensor {
    /// The buffer holds at least `shape.elements()` elements.
    pub(crate) fn new(buffer: PooledBuffer, shape: Shape, dtype: DType) -> Tensor {
        Tensor { buffer, shape, dtype, offset: 0 }
    }

    /// The dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }

    /// The size of the content, in bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }

    /// Where the content starts in the buffer, in bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The buffer below.
    pub fn buffer(&self) -> &PooledBuffer {
        &self.buffer
    }

    /// The number of the allocation, unique within the pool: a recycled buffer has another.
    pub fn generation(&self) -> u64 {
        self.buffer.generation()
    }

    /// A name for the allocation that does not keep it alive.
    pub fn token(&self) -> BufferToken {
        self.buffer.token()
    }

    /// The handles on the buffer: this one, its clones and views.
    pub fn reference_count(&self) -> usize {
        self.buffer.reference_count()
    }

    /// Whether both tensors lie in one buffer.
    pub fn is_same_buffer(&self, other: &Tensor) -> bool {
        self.buffer.is_same_buffer(&other.buffer)
    }

    /// The tensor of the given shape that starts `offset` elements into this one and shares its
    /// buffer.
    ///
    /// # Errors
    /// [`MemoryError::ViewOutOfBounds`] if it reaches past this tensor.
    pub fn view(&self, offset: usize, shape: impl Into<Shape>) -> Result<Tensor, MemoryError> {
        let shape = shape.into();
        let available = self.elements();
        match offset.checked_add(shape.elements()) {
            Some(end) if end <= available => {
                let offset = self.offset + offset * self.dtype.size();
                Ok(Tensor { buffer: self.buffer.clone(), shape, dtype: self.dtype, offset })
            }
            _ => Err(MemoryError::ViewOutOfBounds { offset, shape, available }),
        }
    }

    /// All elements, copied to the host.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`], or what the device reports.
    pub fn read<T: Element>(&self) -> Result<Vec<T>, MemoryError> {
        self.check_dtype::<T>()?;
        let mut out = vec![T::zeroed(); self.elements()];
        self.read_into(&mut out)?;
        Ok(out)
    }

    /// Copies all elements to `out`, which must have as many.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`], [`MemoryError::LengthMismatch`], or what the device reports.
    pub fn read_into<T: Element>(&self, out: &mut [T]) -> Result<(), MemoryError> {
        self.check_dtype::<T>()?;
        self.check_length(out.len())?;
        self.buffer.read(self.offset, bytemuck::cast_slice_mut(out))
    }

    /// The element of a tensor that has exactly one.
    ///
    /// # Errors
    /// As for [`Tensor::read_into`].
    pub fn item<T: Element>(&self) -> Result<T, MemoryError> {
        let mut out = [T::zeroed()];
        self.read_into(&mut out)?;
        Ok(out[0])
    }

    /// Overwrites all elements.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`], [`MemoryError::LengthMismatch`], or what the device reports.
    pub fn write<T: Element>(&self, data: &[T]) -> Result<(), MemoryError> {
        self.check_dtype::<T>()?;
        self.check_length(data.len())?;
        self.buffer.write(self.offset, bytemuck::cast_slice(data))
    }

    /// Sets all elements to zero.
    ///
    /// # Errors
    /// What the device reports.
    pub fn fill_zero(&self) -> Result<(), MemoryError> {
        let bytes = self.bytes();
        (0..bytes).step_by(ZEROS.len()).try_for_each(|start| {
            let length = ZEROS.len().min(bytes - start);
            self.buffer.write(self.offset + start, &ZEROS[..length])
        })
    }

    /// The address of the first element, if the host can address this memory. It is aligned to the
    /// element type, and to 64 bytes unless this is a view. Valid while a handle exists.
    pub fn host_pointer(&self) -> Option<NonNull<u8>> {
        let base = self.buffer.host_pointer()?;
        // SAFETY: the offset lies within the buffer, or at its end for an empty view.
        Some(unsafe { base.add(self.offset) })
    }

    /// The elements in place.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`], [`MemoryError::NotHostVisible`].
    ///
    /// # Safety
    /// While the slice lives, nothing may write to these elements: neither through another handle
    /// ([`Tensor::write`] included) nor on the device.
    pub unsafe fn host_slice<T: Element>(&self) -> Result<&[T], MemoryError> {
        let first = self.element_pointer::<T>()?;
        // SAFETY: the buffer holds `elements()` initialised elements from this address, and the
        // caller excludes writes.
        Ok(unsafe { std::slice::from_raw_parts(first.as_ptr(), self.elements()) })
    }

    /// The elements in place, to be written.
    ///
    /// # Errors
    /// [`MemoryError::DTypeMismatch`], [`MemoryError::NotHostVisible`].
    ///
    /// # Safety
    /// While the slice lives, nothing else may read or write these elements: neither through this
    /// or another handle nor on the device.
    #[allow(
        clippy::mut_from_ref,
        reason = "handles are shared; the caller vouches for exclusivity"
    )]
    pub unsafe fn host_slice_mut<T: Element>(&self) -> Result<&mut [T], MemoryError> {
        let first = self.element_pointer::<T>()?;
        // SAFETY: the buffer holds `elements()` initialised elements from this address, and the
        // caller excludes all other use.
        Ok(unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), self.elements()) })
    }

    /// The elements in place, to be written, if this is the only handle on the buffer.
    ///
    /// # Errors
    /// [`MemoryError::StillShared`] if it is not, [`MemoryError::DTypeMismatch`],
    /// [`MemoryError::NotHostVisible`].
    pub fn get_mut<T: Element>(&mut self) -> Result<&mut [T], MemoryError> {
        self.check_exclusive()?;
        // SAFETY: no other handle exists, and the borrow of this one keeps it from being used or
        // cloned while the slice lives.
        unsafe { self.host_slice_mut() }
    }

    /// Checks that this is the only handle on the buffer.
    pub(crate) fn check_exclusive(&self) -> Result<(), MemoryError> {
        match self.reference_count() {
            1 => Ok(()),
            references => Err(MemoryError::StillShared { references }),
        }
    }

    fn element_pointer<T: Element>(&self) -> Result<NonNull<T>, MemoryError> {
        self.check_dtype::<T>()?;
        self.host_pointer().map(NonNull::cast).ok_or_else(|| MemoryError::NotHostVisible {
            device: self.buffer.pool().device().name().to_owned(),
        })
    }

    fn check_dtype<T: Element>(&self) -> Result<(), MemoryError> {
        if T::DTYPE == self.dtype {
            return Ok(());
        }
        Err(MemoryError::DTypeMismatch { expected: self.dtype, got: T::DTYPE })
    }

    fn check_length(&self, got: usize) -> Result<(), MemoryError> {
        if got == self.elements() {
            return Ok(());
        }
        Err(MemoryError::LengthMismatch { shape: self.shape.clone(), got })
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor")
            .field("shape", &self.shape)
            .field("dtype", &self.dtype)
            .field("offset", &self.offset)
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
