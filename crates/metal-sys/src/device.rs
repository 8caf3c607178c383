//! GPUs.

use crate::buffer::{Buffer, Storage};
use crate::error::MetalError;
use crate::handle::handle;
use crate::native::{check, struct_bytes, text};
use crate::queue::Queue;
use crate::raw;

handle! {
    /// A GPU.
    Device, raw::onestep_device, raw::onestep_device_release
}

/// What a device is and can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// The largest buffer in bytes.
    pub max_buffer_bytes: u64,
    /// How many bytes a process should use in all.
    pub recommended_bytes: u64,
    /// How many bytes this process has allocated on it.
    pub allocated_bytes: u64,
    /// Whether host and device share memory.
    pub unified_memory: bool,
    /// Whether bf16 is supported.
    pub supports_bf16: bool,
}

/// What was done on a device since it was opened, by all its queues. In steady state a training
/// step adds 1 native call, 1 command buffer (more where steps are split) and 2 encodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Steps and copies submitted.
    pub native_calls: u64,
    /// Command buffers committed.
    pub command_buffers: u64,
    /// Compiled graphs, and kernels of the hybrid path, encoded.
    pub encodes: u64,
    /// Times that a caller was blocked.
    pub waits: u64,
    /// Copies between host and device memory by the host.
    pub host_copies: u64,
    /// Buffers and images asked of Metal.
    pub metal_allocations: u64,
    /// Graphs compiled.
    pub compilations: u64,
    /// Steps in flight now.
    pub in_flight: u64,
    /// The most steps that were in flight at one time.
    pub in_flight_peak: u64,
}

impl Device {
    /// How many devices there are; 0 where the shim is not built.
    pub fn count() -> u32 {
        let mut count = 0;
        // SAFETY: the pointer is valid for a write.
        match check(unsafe { raw::onestep_device_count(&mut count) }) {
            Ok(()) => count,
            Err(_) => 0,
        }
    }

    /// Opens a device; 0 is the system's default.
    ///
    /// # Errors
    /// [`MetalError::NoDevice`], or [`MetalError::Unavailable`] without a shim.
    pub fn open(index: u32) -> Result<Self, MetalError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is valid for a write.
        check(unsafe { raw::onestep_device_open(index, &mut handle) })?;
        Device::from_raw(handle)
    }

    /// Describes the device.
    ///
    /// # Errors
    /// An exception of the platform.
    pub fn info(&self) -> Result<DeviceInfo, MetalError> {
        let mut info = raw::onestep_device_info {
            struct_bytes: struct_bytes::<raw::onestep_device_info>(),
            name: [0; 128],
            max_buffer_bytes: 0,
            recommended_bytes: 0,
            allocated_bytes: 0,
            unified_memory: 0,
            supports_bf16: 0,
        };
        // SAFETY: the handle is alive and the struct says its size.
        check(unsafe { raw::onestep_device_get_info(self.as_raw(), &mut info) })?;
        Ok(DeviceInfo {
            // SAFETY: the shim ends the name in a zero.
            name: unsafe { text(info.name.as_ptr()) },
            max_buffer_bytes: info.max_buffer_bytes,
            recommended_bytes: info.recommended_bytes,
            allocated_bytes: info.allocated_bytes,
            unified_memory: info.unified_memory != 0,
            supports_bf16: info.supports_bf16 != 0,
        })
    }

    /// Counts what was done so far.
    ///
    /// # Errors
    /// None in practice; the interface allows for one.
    pub fn statistics(&self) -> Result<Statistics, MetalError> {
        let mut s = raw::onestep_statistics {
            struct_bytes: struct_bytes::<raw::onestep_statistics>(),
            native_calls: 0,
            command_buffers: 0,
            encodes: 0,
            waits: 0,
            host_copies: 0,
            metal_allocations: 0,
            compilations: 0,
            in_flight: 0,
            in_flight_peak: 0,
        };
        // SAFETY: the handle is alive and the struct says its size.
        check(unsafe { raw::onestep_device_get_statistics(self.as_raw(), &mut s) })?;
        Ok(Statistics {
            native_calls: s.native_calls,
            command_buffers: s.command_buffers,
            encodes: s.encodes,
            waits: s.waits,
            host_copies: s.host_copies,
            metal_allocations: s.metal_allocations,
            compilations: s.compilations,
            in_flight: s.in_flight,
            in_flight_peak: s.in_flight_peak,
        })
    }

    /// Allocates a buffer of `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`MetalError::OutOfMemory`], or [`MetalError::InvalidArgument`] for 0 bytes.
    pub fn buffer(&self, bytes: u64, storage: Storage) -> Result<Buffer, MetalError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is alive and the pointer is valid for a write.
        check(unsafe {
            raw::onestep_buffer_create(self.as_raw(), bytes, storage as u32, &mut handle)
        })?;
        Buffer::from_raw(handle)
    }

    /// Creates a queue that lets `in_flight` steps (1 to 16; 0 means 3) be in flight.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] for more, [`MetalError::OutOfMemory`].
    pub fn queue(&self, in_flight: u32) -> Result<Queue, MetalError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is alive and the pointer is valid for a write.
        check(unsafe { raw::onestep_queue_create(self.as_raw(), in_flight, &mut handle) })?;
        Queue::from_raw(handle)
    }
}
