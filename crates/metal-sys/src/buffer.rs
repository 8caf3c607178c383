//! Device memory.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::error::MetalError;
use crate::handle::handle;
use crate::native::check;
use crate::raw;

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Storage {
    /// Seen by the host too.
    Shared = 0,
    /// Only seen by the device; read and written through a staging copy that waits.
    Private = 1,
}

handle! {
    /// Device memory. Reading, writing and filling do not look at steps in flight: the caller makes
    /// sure that none uses the buffer.
    Buffer, raw::onestep_buffer, raw::onestep_buffer_release
}

impl Buffer {
    /// The size that was asked for.
    pub fn bytes(&self) -> u64 {
        // SAFETY: the handle is alive.
        unsafe { raw::onestep_buffer_bytes(self.as_raw()) }
    }

    /// Where it lies.
    pub fn storage(&self) -> Storage {
        // SAFETY: the handle is alive.
        match unsafe { raw::onestep_buffer_storage(self.as_raw()) } {
            0 => Storage::Shared,
            _ => Storage::Private,
        }
    }

    /// The host's view of a shared buffer, valid as long as `self`; `None` for a private one.
    pub fn contents(&self) -> Option<NonNull<u8>> {
        // SAFETY: the handle is alive.
        NonNull::new(unsafe { raw::onestep_buffer_contents(self.as_raw()) }.cast())
    }

    /// Copies `data` to the buffer from byte `offset` on.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] where that is more than the buffer has; a device error for
    /// private storage.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), MetalError> {
        let (pointer, bytes) = (data.as_ptr().cast(), data.len() as u64);
        // SAFETY: the handle is alive and `data` has as many bytes as is said.
        check(unsafe { raw::onestep_buffer_write(self.as_raw(), offset, pointer, bytes) })
    }

    /// Fills `out` from the buffer's byte `offset` on.
    ///
    /// # Errors
    /// As [`Buffer::write`].
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), MetalError> {
        let (pointer, bytes) = (out.as_mut_ptr().cast(), out.len() as u64);
        // SAFETY: the handle is alive and `out` has as many bytes as is said.
        check(unsafe { raw::onestep_buffer_read(self.as_raw(), offset, pointer, bytes) })
    }

    /// Sets `bytes` bytes from `offset` on to `value`.
    ///
    /// # Errors
    /// As [`Buffer::write`].
    pub fn fill(&self, offset: u64, bytes: u64, value: u8) -> Result<(), MetalError> {
        // SAFETY: the handle is alive.
        check(unsafe { raw::onestep_buffer_fill(self.as_raw(), offset, bytes, value) })
    }

    /// Borrows the buffer for the arguments of a call.
    pub fn as_ref(&self) -> BufferRef<'_> {
        BufferRef(self.as_raw(), PhantomData)
    }
}

/// A borrowed buffer among the arguments of a call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct BufferRef<'a>(pub(crate) *mut raw::onestep_buffer, PhantomData<&'a Buffer>);

impl BufferRef<'_> {
    /// A buffer known by its handle.
    ///
    /// # Safety
    /// The handle stays alive as long as the result.
    pub unsafe fn from_raw(handle: *mut raw::onestep_buffer) -> Self {
        BufferRef(handle, PhantomData)
    }
}

impl<'a> From<&'a Buffer> for BufferRef<'a> {
    fn from(buffer: &'a Buffer) -> Self {
        buffer.as_ref()
    }
}
