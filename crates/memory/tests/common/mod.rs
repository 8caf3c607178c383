//! A device whose memory the host cannot address, as on a discrete GPU.

use std::ptr::NonNull;

use onestep_memory::{Device, HostDevice, MemoryError, RawBuffer};

/// Host memory that hides its addresses.
#[derive(Debug, Default)]
pub(crate) struct OpaqueDevice(HostDevice);

// SAFETY: everything is the host device's; it gives no pointer where that one would.
unsafe impl Device for OpaqueDevice {
    fn name(&self) -> &str {
        "opaque"
    }

    fn memory_limit(&self) -> Option<usize> {
        self.0.memory_limit()
    }

    fn allocate(&self, bytes: usize) -> Result<RawBuffer, MemoryError> {
        self.0.allocate(bytes)
    }

    fn free(&self, buffer: RawBuffer) {
        self.0.free(buffer);
    }

    fn write(&self, buffer: &RawBuffer, offset: usize, data: &[u8]) -> Result<(), MemoryError> {
        self.0.write(buffer, offset, data)
    }

    fn read(&self, buffer: &RawBuffer, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        self.0.read(buffer, offset, out)
    }

    fn host_pointer(&self, _: &RawBuffer) -> Option<NonNull<u8>> {
        None
    }
}
