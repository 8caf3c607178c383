//! Plain host memory as a device.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::{Device, DeviceId, MemoryError, RawBuffer, pages};

/// Zeroed host memory, aligned to 64 bytes, with an optional limit. The device of the CPU
/// executor. What is never touched of a large buffer does not become resident.
///
/// ```
/// use onestep_memory::{Device, HostDevice, MemoryError};
///
/// let device = HostDevice::with_memory_limit(1 << 20);
/// let buffer = device.allocate(4096)?;
/// device.write(&buffer, 10, &[1, 2, 3])?;
/// let mut out = [0; 2];
/// device.read(&buffer, 11, &mut out)?;
/// assert_eq!(out, [2, 3]);
/// assert!(matches!(device.allocate(1 << 20), Err(MemoryError::DeviceOutOfMemory { .. })));
/// device.free(buffer);
/// assert_eq!(device.bytes_in_use(), 0);
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Debug)]
pub struct HostDevice {
    id: DeviceId,
    limit: Option<usize>,
    in_use: AtomicUsize,
    allocations: AtomicU64,
    /// The allocation that must fail, counted from 1; 0 for none.
    failing: AtomicU64,
}

impl HostDevice {
    /// Host memory without a limit of its own.
    pub fn new() -> HostDevice {
        HostDevice {
            id: DeviceId::unique(),
            limit: None,
            in_use: AtomicUsize::new(0),
            allocations: AtomicU64::new(0),
            failing: AtomicU64::new(0),
        }
    }

    /// Host memory that hands out at most `bytes` bytes at one time.
    pub fn with_memory_limit(bytes: usize) -> HostDevice {
        HostDevice { limit: Some(bytes), ..HostDevice::new() }
    }

    /// For tests of error paths: the `nth` allocation from now fails with
    /// [`MemoryError::InjectedFault`] (1 is the next one). Those after it succeed again.
    pub fn fail_nth_allocation(&self, nth: u64) {
        let ordinal = self.allocations.load(Ordering::Relaxed).saturating_add(nth);
        self.failing.store(ordinal, Ordering::Relaxed);
    }

    /// The bytes handed out and not freed.
    pub fn bytes_in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// The allocations ever asked for, failed ones included.
    pub fn allocations(&self) -> u64 {
        self.allocations.load(Ordering::Relaxed)
    }

    fn check_fault(&self) -> Result<(), MemoryError> {
        let ordinal = self.allocations.fetch_add(1, Ordering::Relaxed) + 1;
        if ordinal == self.failing.load(Ordering::Relaxed) {
            return Err(MemoryError::InjectedFault { device: self.name().to_owned(), ordinal });
        }
        Ok(())
    }

    /// Counts `bytes` as used, unless that would pass the limit.
    fn reserve(&self, bytes: usize) -> Result<(), MemoryError> {
        let limit = self.limit.unwrap_or(usize::MAX);
        self.in_use
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| {
                in_use.checked_add(bytes).filter(|&total| total <= limit)
            })
            .map(drop)
            .map_err(|in_use| self.out_of_memory(bytes, in_use))
    }

    fn out_of_memory(&self, requested: usize, in_use: usize) -> MemoryError {
        let device = self.name().to_owned();
        MemoryError::DeviceOutOfMemory { device, requested, in_use, limit: self.limit }
    }

    /// The address of the buffer, if it is one of ours.
    fn address(&self, buffer: &RawBuffer) -> Option<NonNull<u8>> {
        if buffer.device() != self.id {
            return None;
        }
        NonNull::new(std::ptr::with_exposed_provenance_mut(buffer.handle() as usize))
    }

    /// The address of `length` bytes at `offset`, checked.
    fn range(
        &self,
        buffer: &RawBuffer,
        offset: usize,
        length: usize,
    ) -> Result<*mut u8, MemoryError> {
        let base = self
            .address(buffer)
            .ok_or_else(|| MemoryError::ForeignBuffer { device: self.name().to_owned() })?;
        buffer.check_range(offset, length)?;
        // SAFETY: the offset was checked to lie within the allocation.
        Ok(unsafe { base.as_ptr().add(offset) })
    }
}

impl Default for HostDevice {
    fn default() -> HostDevice {
        HostDevice::new()
    }
}

// SAFETY: memory comes zeroed with 64-byte alignment and is owned by the
// RawBuffer until `free` consumes it; the address is valid for its whole size; buffers of other
// devices are recognised by their id and refused.
unsafe impl Device for HostDevice {
    fn name(&self) -> &str {
        "cpu"
    }

    fn memory_limit(&self) -> Option<usize> {
        self.limit
    }

    fn allocate(&self, bytes: usize) -> Result<RawBuffer, MemoryError> {
        self.check_fault()?;
        self.reserve(bytes)?;
        let Some(block) = pages::allocate(bytes) else {
            let before = self.in_use.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.out_of_memory(bytes, before - bytes));
        };
        let handle = block.as_ptr().expose_provenance() as u64;
        // SAFETY: the handle is the address of a fresh allocation of this device.
        Ok(unsafe { RawBuffer::new(self.id, handle, bytes) })
    }

    fn free(&self, buffer: RawBuffer) {
        // A foreign buffer leaks: its own device alone could free it.
        let Some(address) = self.address(&buffer) else { return };
        self.in_use.fetch_sub(buffer.bytes(), Ordering::Relaxed);
        // SAFETY: `allocate` made this block with as many bytes, and the RawBuffer, of which there
        // is only one, is consumed here.
        unsafe { pages::free(address, buffer.bytes()) };
    }

    fn write(&self, buffer: &RawBuffer, offset: usize, data: &[u8]) -> Result<(), MemoryError> {
        let target = self.range(buffer, offset, data.len())?;
        // SAFETY: `range` checked the target; a RawBuffer is not Sync, so no other thread reads or
        // writes through it; `data` may not overlap, being safe-code memory.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), target, data.len()) };
        Ok(())
    }

    fn read(&self, buffer: &RawBuffer, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        let source = self.range(buffer, offset, out.len())?;
        // SAFETY: as for `write`; the memory is initialised since it was allocated zeroed.
        unsafe { std::ptr::copy_nonoverlapping(source, out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    fn host_pointer(&self, buffer: &RawBuffer) -> Option<NonNull<u8>> {
        self.address(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zeroed() {
        let device = HostDevice::new();
        for bytes in [0, 1, 63, 4096, 100_000] {
            let buffer = device.allocate(bytes).unwrap();
            let address = device.host_pointer(&buffer).unwrap();
            assert_eq!(address.as_ptr() as usize % pages::ALIGNMENT, 0);
            let mut out = vec![1; bytes];
            device.read(&buffer, 0, &mut out).unwrap();
            assert!(out.iter().all(|&byte| byte == 0));
            device.free(buffer);
        }
        assert_eq!(device.bytes_in_use(), 0);
    }

    #[test]
    fn accesses_past_the_end_are_refused() {
        let device = HostDevice::new();
        let buffer = device.allocate(8).unwrap();
        let error = device.write(&buffer, 6, &[0; 3]).unwrap_err();
        assert_eq!(error, MemoryError::OutOfBounds { offset: 6, length: 3, capacity: 8 });
        assert!(device.read(&buffer, usize::MAX, &mut [0; 2]).is_err());
        device.free(buffer);
    }

    #[test]
    fn buffers_of_another_device_are_refused() {
        let (ours, theirs) = (HostDevice::new(), HostDevice::new());
        let buffer = theirs.allocate(8).unwrap();
        assert!(matches!(ours.write(&buffer, 0, &[1]), Err(MemoryError::ForeignBuffer { .. })));
        assert_eq!(ours.host_pointer(&buffer), None);
        theirs.free(buffer);
    }

    #[test]
    fn the_nth_allocation_fails_once() {
        let device = HostDevice::new();
        device.free(device.allocate(8).unwrap());
        device.fail_nth_allocation(2);
        let kept = device.allocate(8).unwrap();
        let error = device.allocate(8).unwrap_err();
        assert_eq!(error, MemoryError::InjectedFault { device: "cpu".into(), ordinal: 3 });
        device.free(device.allocate(8).unwrap());
        device.free(kept);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        let device = HostDevice::new();
        assert!(matches!(
            device.allocate(usize::MAX),
            Err(MemoryError::DeviceOutOfMemory { in_use: 0, limit: None, .. })
        ));
    }
}
