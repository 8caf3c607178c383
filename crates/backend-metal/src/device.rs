//! The memory of a Metal device.

use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use onestep_engine::{EngineError, Poison};
use onestep_memory::{Device, DeviceId, MemoryError, RawBuffer};
use onestep_metal_sys::{self as metal, Buffer, MetalError, Queue, Storage};

use crate::error::{MetalExecutorError, unsupported};
use crate::sync::lock;

/// What the memory's users rely on: see [`Device`].
const ALIGNMENT: usize = 64;

/// The most steps that a queue of the shim has in flight.
const MOST_IN_FLIGHT: u32 = 16;

/// Memory of a Metal device in shared storage, which host and device both address, and the queue
/// whose steps use it.
///
/// [`Device::read`] and [`Device::write`] wait until no step is in flight, so that neither sees nor
/// makes half of a step. Staging slots are filled through host pointers instead, without a wait.
#[derive(Debug)]
pub struct MetalDevice {
    id: DeviceId,
    name: String,
    limit: usize,
    device: metal::Device,
    queue: Queue,
    /// Buffers by their handles.
    buffers: Mutex<HashMap<u64, Arc<Buffer>>>,
    in_use: AtomicUsize,
    poison: Arc<Poison>,
}

impl MetalDevice {
    /// Opens device `index` (0 is the system's default) with a queue of `in_flight` steps.
    ///
    /// # Errors
    /// There is no Metal in this build or no such device, or it cannot be opened.
    pub fn open(index: u32, in_flight: u32) -> Result<Arc<Self>, MetalExecutorError> {
        if !metal::AVAILABLE {
            return Err(MetalExecutorError::Unavailable);
        }
        if !(1..=MOST_IN_FLIGHT).contains(&in_flight) {
            return Err(MetalExecutorError::InFlight { most: MOST_IN_FLIGHT, got: in_flight });
        }
        let count = metal::Device::count();
        if index >= count {
            return Err(MetalExecutorError::NoDevice { index, count });
        }
        let device = metal::Device::open(index)?;
        let info = device.info()?;
        let queue = device.queue(in_flight)?;
        Ok(Arc::new(MetalDevice {
            id: DeviceId::unique(),
            name: if cfg!(feature = "headless") { "metal-headless".into() } else { info.name },
            limit: usize::try_from(info.recommended_bytes).unwrap_or(usize::MAX),
            device,
            queue,
            buffers: Mutex::new(HashMap::new()),
            in_use: AtomicUsize::new(0),
            poison: Arc::new(Poison::default()),
        }))
    }

    /// What the shim counted since the device was opened.
    ///
    /// # Errors
    /// None in practice; the shim's interface allows for one.
    pub fn statistics(&self) -> Result<metal::Statistics, MetalError> {
        self.device.statistics()
    }

    /// The bytes handed out and not freed.
    pub fn bytes_in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// The queue of all steps.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What a failed step has left behind.
    pub(crate) fn poison(&self) -> &Arc<Poison> {
        &self.poison
    }

    /// The buffer that was handed out, if it is one of ours.
    fn find(&self, buffer: &RawBuffer) -> Result<Arc<Buffer>, MemoryError> {
        let ours = buffer.device() == self.id;
        let found = ours.then(|| lock(&self.buffers).get(&buffer.handle()).map(Arc::clone));
        found.flatten().ok_or_else(|| MemoryError::ForeignBuffer { device: self.name.clone() })
    }

    /// A buffer of which the host sees an aligned address.
    fn make(&self, bytes: usize) -> Result<Buffer, MetalError> {
        let buffer = self.device.buffer(bytes.max(1) as u64, Storage::Shared)?;
        match buffer.contents() {
            Some(address) if (address.as_ptr() as usize).is_multiple_of(ALIGNMENT) => Ok(buffer),
            address => Err(MetalError::Internal(format!(
                "a shared buffer lies at {address:?}, which is no multiple of {ALIGNMENT}"
            ))),
        }
    }

    /// The shim's error as the engine's. `doing` is what failed, such as `the step`.
    pub(crate) fn engine_error(&self, doing: &str, error: MetalError) -> EngineError {
        match error {
            MetalError::OutOfMemory(_) => self.out_of_memory(&error, 0).into(),
            // The shim's text says which step failed first, and why.
            MetalError::Poisoned(reason) => EngineError::Poisoned { reason },
            MetalError::Device(_) => EngineError::Poisoned { reason: error.to_string() },
            _ => unsupported(doing, error.to_string()),
        }
    }

    /// The shim's failure to give memory.
    fn out_of_memory(&self, error: &MetalError, requested: usize) -> MemoryError {
        MemoryError::DeviceOutOfMemory {
            // The memory's errors have no place for a text of the platform but this.
            device: format!("{} ({error})", self.name),
            requested,
            in_use: self.bytes_in_use(),
            limit: Some(self.limit),
        }
    }

    fn wait_idle(&self) -> Result<(), MemoryError> {
        self.queue.wait_idle().map_err(|error| self.out_of_memory(&error, 0))
    }
}

// SAFETY: the shim makes each buffer as a Metal allocation of its own, at least as long as asked
// for and filled by the system, and `make` has checked its alignment; it lives in `buffers`, with
// its address, until `free` takes it out, and Metal keeps it beyond that for steps in flight.
// Buffers of other devices are told by their id and refused.
unsafe impl Device for MetalDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn memory_limit(&self) -> Option<usize> {
        Some(self.limit)
    }

    fn allocate(&self, bytes: usize) -> Result<RawBuffer, MemoryError> {
        let buffer = self.make(bytes).map_err(|error| self.out_of_memory(&error, bytes))?;
        let handle = buffer.as_raw().expose_provenance() as u64;
        lock(&self.buffers).insert(handle, Arc::new(buffer));
        self.in_use.fetch_add(bytes, Ordering::Relaxed);
        // SAFETY: the handle names the allocation just made, which only `free` gives up.
        Ok(unsafe { RawBuffer::new(self.id, handle, bytes) })
    }

    fn free(&self, buffer: RawBuffer) {
        // A foreign buffer leaks: its own device alone could free it.
        if buffer.device() == self.id && lock(&self.buffers).remove(&buffer.handle()).is_some() {
            self.in_use.fetch_sub(buffer.bytes(), Ordering::Relaxed);
        }
    }

    fn write(&self, buffer: &RawBuffer, offset: usize, data: &[u8]) -> Result<(), MemoryError> {
        let target = self.find(buffer)?;
        buffer.check_range(offset, data.len())?;
        self.wait_idle()?;
        let written = target.write(offset as u64, data);
        written.map_err(|error| self.out_of_memory(&error, data.len()))?;
        self.poison.restored(buffer.handle());
        Ok(())
    }

    fn read(&self, buffer: &RawBuffer, offset: usize, out: &mut [u8]) -> Result<(), MemoryError> {
        let source = self.find(buffer)?;
        buffer.check_range(offset, out.len())?;
        self.wait_idle()?;
        source.read(offset as u64, out).map_err(|error| self.out_of_memory(&error, out.len()))
    }

    fn host_pointer(&self, buffer: &RawBuffer) -> Option<NonNull<u8>> {
        self.find(buffer).ok()?.contents()
    }
}
