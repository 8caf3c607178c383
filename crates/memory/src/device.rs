//! What a device must do to hold tensors.

use std::cell::Cell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::MemoryError;

/// Tells devices apart, so that a buffer given to the wrong one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(u64);

impl DeviceId {
    /// An identity no other device of this process has.
    pub fn unique() -> DeviceId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        DeviceId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// An allocation of a [`Device`]: a handle only the device can interpret, and its true size.
///
/// It is not `Sync`, so that safe code cannot read and write the same memory from two threads.
#[derive(Debug)]
pub struct RawBuffer {
    device: DeviceId,
    handle: u64,
    bytes: usize,
    not_sync: PhantomData<Cell<()>>,
}

impl RawBuffer {
    /// Wraps an allocation.
    ///
    /// # Safety
    /// `handle` must name an allocation of `bytes` bytes that the device `device` made and has
    /// not freed, and no other `RawBuffer` may name it.
    pub unsafe fn new(device: DeviceId, handle: u64, bytes: usize) -> RawBuffer {
        RawBuffer { device, handle, bytes, not_sync: PhantomData }
    }

    /// The device that made the buffer.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The device's name for the buffer: an address or an object handle.
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// The size that was allocated, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks that `length` bytes from `offset` lie inside the buffer.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] if they do not.
    pub fn check_range(&self, offset: usize, length: usize) -> Result<(), MemoryError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.bytes => Ok(()),
            _ => Err(MemoryError::OutOfBounds { offset, length, capacity: self.bytes }),
        }
    }
}

/// Memory of one device, in raw buffers. [`BufferPool`](crate::BufferPool) stands between it and
/// tensors; methods are called with the pool's lock held and must not call back into the pool.
///
/// # Safety
/// Safe code reads and writes what an implementation hands out, so it must see to it that
/// - `allocate` returns at least `bytes` bytes, aligned to 64 bytes, *initialised* (to any value),
///   which nothing else uses until `free`;
/// - `host_pointer`, where it returns one, gives the first of `RawBuffer::bytes` bytes that stay
///   valid for reads and writes until `free`;
/// - buffers of another device are refused (see [`RawBuffer::device`]).
pub unsafe trait Device: Send + Sync + Debug {
    /// A name for messages, such as `cpu`.
    fn name(&self) -> &str;

    /// The most bytes the device can hand out at one time, if it knows.
    fn memory_limit(&self) -> Option<usize>;

    /// Allocates at least `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`MemoryError::DeviceOutOfMemory`] if there is no room.
    fn allocate(&self, bytes: usize) -> Result<RawBuffer, MemoryError>;

    /// Frees a buffer that this device made.
    fn free(&self, buffer: RawBuffer);

    /// Copies `data` to the buffer, from byte `offset`. Returns when the copy is done.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], [`MemoryError::ForeignBuffer`].
    fn write(&self, buffer: &RawBuffer, offset: usize, data: &[u8]) -> Result<(), MemoryError>;

    /// Copies from the buffer, from byte `offset`, to `out`. Waits for work that writes there.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`], [`MemoryError::ForeignBuffer`].
    fn read(&self, buffer: &RawBuffer, offset: usize, out: &mut [u8]) -> Result<(), MemoryError>;

    /// The address of the buffer's first byte, if the host can address this memory.
    fn host_pointer(&self, buffer: &RawBuffer) -> Option<NonNull<u8>>;
}
