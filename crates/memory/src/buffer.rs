//! Reference-counted handles on pooled buffers. The last handle gives its buffer back to the pool that made it, so
//! that this file and the pool name one another.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::handle_count::HandleCount;
use crate::sync::lock;
use crate::{BufferPool, MemoryError, RawBuffer, SizeClass};

/// The generation of a buffer that nobody uses.
const IDLE: u64 = 0;

/// Debug builds fill freed host memory with this byte, so that what still reads it through a stale
/// pointer gets NaN (in every float type) rather than plausible numbers.
const FREED: u8 = 0xFF;

/// A device buffer and its bookkeeping, which outlive its users: the pool recycles both together.
#[derive(Debug)]
pub(crate) struct Block {
    /// `None` once the device has it back. The mutex orders reads and writes by safe code.
    raw: Mutex<Option<RawBuffer>>,
    class: SizeClass,
    device_handle: u64,
    /// Null if the host cannot address the memory.
    host: AtomicPtr<u8>,
    handles: HandleCount,
    /// Of the allocation that uses the block now, or [`IDLE`].
    generation: AtomicU64,
}

impl Block {
    pub(crate) fn new(raw: RawBuffer, class: SizeClass, host: Option<NonNull<u8>>) -> Block {
        Block {
            device_handle: raw.handle(),
            raw: Mutex::new(Some(raw)),
            class,
            host: AtomicPtr::new(host.map_or(std::ptr::null_mut(), NonNull::as_ptr)),
            handles: HandleCount::default(),
            generation: AtomicU64::new(IDLE),
        }
    }

    pub(crate) fn class(&self) -> SizeClass {
        self.class
    }

    /// Gives the block to its first handle.
    pub(crate) fn begin(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
        self.handles.begin();
    }

    /// Takes the block from its last handle.
    pub(crate) fn end(&self) {
        self.generation.store(IDLE, Ordering::Relaxed);
        if let (true, Some(host)) = (cfg!(debug_assertions), self.host_pointer()) {
            // SAFETY: the pointer covers `class.bytes()` bytes, and no handle is left.
            unsafe { host.as_ptr().write_bytes(FREED, self.class.bytes()) };
        }
    }

    /// Takes the device's buffer out, to be freed. No handle may exist.
    pub(crate) fn take_raw(&self) -> Option<RawBuffer> {
        self.host.store(std::ptr::null_mut(), Ordering::Relaxed);
        lock(&self.raw).take()
    }

    fn host_pointer(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.host.load(Ordering::Relaxed))
    }
}

/// Names one allocation without keeping it alive: for those who hold raw addresses (recorded
/// command lists, foreign code) and must find out whether these are still good.
/// See [`MemoryManager::check`](crate::MemoryManager::check).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferToken {
    pub(crate) slot: usize,
    pub(crate) generation: u64,
}

/// A handle on a buffer from a [`BufferPool`]: untyped bytes. Cloning retains; dropping the last
/// handle returns the buffer to the pool. [`Tensor`](crate::Tensor) adds shape and element type.
pub struct PooledBuffer {
    pool: Arc<BufferPool>,
    block: Arc<Block>,
    bytes: usize,
    token: BufferToken,
}

impl PooledBuffer {
    /// The first handle on a block, for which [`Block::begin`] has been called.
    pub(crate) fn first(
        pool: Arc<BufferPool>,
        block: Arc<Block>,
        bytes: usize,
        token: BufferToken,
    ) -> PooledBuffer {
        PooledBuffer { pool, block, bytes, token }
    }

    /// The size that was asked for, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The size of the device's buffer, in bytes: that of its size class.
    pub fn capacity(&self) -> usize {
        self.block.class.bytes()
    }

    /// The pool the buffer returns to.
    pub fn pool(&self) -> &Arc<BufferPool> {
        &self.pool
    }

    /// The number of this allocation, unique within the pool and never 0.
    pub fn generation(&self) -> u64 {
        self.token.generation
    }

    /// A name for this allocation that does not keep it alive.
    pub fn token(&self) -> BufferToken {
        self.token
    }

    /// The device's name for the buffer (see [`RawBuffer::handle`]).
    pub fn device_handle(&self) -> u64 {
        self.block.device_handle
    }

    /// The handles on this buffer, this one included.
    pub fn reference_count(&self) -> usize {
        self.block.handles.get()
    }

    /// Whether both are handles on one buffer.
    pub fn is_same_buffer(&self, other: &PooledBuffer) -> bool {
        Arc::ptr_eq(&self.block, &other.block)
    }

    /// The address of the first byte, if the host can address this memory.
    pub fn host_pointer(&self) -> Option<NonNull<u8>> {
        debug_assert_eq!(self.check(), Ok(()));
        self.block.host_pointer()
    }

    /// Copies bytes from `offset` to `out`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] past the buffer's capacity, or what the device reports.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        self.with_raw(|raw| self.pool.device().read(raw, offset, out))
    }

    /// Copies `data` to the bytes from `offset`.
    ///
    /// # Errors
    /// [`MemoryError::OutOfBounds`] past the buffer's capacity, or what the device reports.
    pub fn write(&self, offset: usize, data: &[u8]) -> Result<(), MemoryError> {
        self.with_raw(|raw| self.pool.device().write(raw, offset, data))
    }

    fn with_raw(
        &self,
        access: impl FnOnce(&RawBuffer) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        if cfg!(debug_assertions) {
            self.check()?;
        }
        let expected = self.generation();
        match lock(&self.block.raw).as_ref() {
            Some(raw) => access(raw),
            None => Err(MemoryError::UseAfterFree { expected, found: IDLE }),
        }
    }

    /// Checks that the block still belongs to this handle's allocation. It always does, unless
    /// unsafe code has duplicated or dropped a handle behind the count's back.
    fn check(&self) -> Result<(), MemoryError> {
        let found = self.block.generation.load(Ordering::Relaxed);
        let expected = self.generation();
        if found == expected {
            return Ok(());
        }
        Err(MemoryError::UseAfterFree { expected, found })
    }
}

impl Clone for PooledBuffer {
    fn clone(&self) -> PooledBuffer {
        self.block.handles.retain();
        PooledBuffer {
            pool: Arc::clone(&self.pool),
            block: Arc::clone(&self.block),
            bytes: self.bytes,
            token: self.token,
        }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if self.block.handles.release() {
            self.pool.release(&self.block, self.token.slot);
        }
    }
}

impl fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuffer")
            .field("bytes", &self.bytes)
            .field("capacity", &self.capacity())
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostDevice, PoolLimits};

    fn pool() -> Arc<BufferPool> {
        BufferPool::new(Arc::new(HostDevice::new()), PoolLimits::default())
    }

    #[test]
    fn a_handle_notices_that_its_block_has_a_new_owner() {
        let buffer = pool().acquire(100).unwrap();
        let expected = buffer.generation();
        // What a bug in unsafe code would do: the block is recycled while a handle is left.
        for found in [IDLE, expected + 1] {
            buffer.block.generation.store(found, Ordering::Relaxed);
            let error = Err(MemoryError::UseAfterFree { expected, found });
            assert_eq!(buffer.check(), error);
            if cfg!(debug_assertions) {
                assert_eq!(buffer.read(0, &mut [0; 4]), error);
            }
        }
    }

    #[test]
    fn a_token_outlives_its_buffer_and_tells() {
        let pool = pool();
        let buffer = pool.acquire(100).unwrap();
        let token = buffer.token();
        assert_eq!(pool.check(token), Ok(()));
        drop(buffer);
        let expected = token.generation;
        assert_eq!(pool.check(token), Err(MemoryError::UseAfterFree { expected, found: IDLE }));
        let recycled = pool.acquire(100).unwrap();
        let found = recycled.generation();
        assert_eq!(pool.check(token), Err(MemoryError::UseAfterFree { expected, found }));
    }

    #[test]
    fn freed_memory_is_scrubbed_in_debug_builds() {
        let pool = pool();
        let buffer = pool.acquire(4).unwrap();
        buffer.write(0, &1.0f32.to_ne_bytes()).unwrap();
        drop(buffer);
        let recycled = pool.acquire(4).unwrap();
        let mut bytes = [0; 4];
        recycled.read(0, &mut bytes).unwrap();
        if cfg!(debug_assertions) {
            assert!(f32::from_ne_bytes(bytes).is_nan());
        }
    }
}
