//! The ring of host-visible buffers through which batches reach the device.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use half::{bf16, f16};

use crate::handle_count::HandleCount;
use crate::sync::lock;
use crate::{DType, Element, MemoryError, MemoryManager, Shape, Tensor};

/// A fixed number of slots, each a set of host-visible tensors: a batch.
///
/// A producer [`acquire`](StagingPool::acquire)s a slot, fills it and
/// [`freeze`](StagingSlot::freeze)s it; consumers share the [`Staged`] batch. The slot is free
/// again only when the last of them has let go, that is, when the transfer or step that reads it
/// has completed. A producer that finds no slot free waits: back-pressure, never a lost batch.
/// Nothing here allocates after [`StagingPool::new`].
///
/// ```
/// use onestep_memory::{DType, MemoryError, MemoryManager, Shape, StagingPool};
///
/// let memory = MemoryManager::host();
/// let layout = [(Shape::from([2, 4]), DType::F32), (Shape::from([2]), DType::I32)];
/// let ring = StagingPool::new(&memory, 2, &layout)?;
///
/// let mut slot = ring.acquire()?;
/// slot.slice_mut::<f32>(0)?.fill(0.5);
/// slot.slice_mut::<i32>(1)?.copy_from_slice(&[7, 9]);
/// let batch = slot.freeze();
/// assert_eq!(batch.tensors()[1].read::<i32>()?, [7, 9]);
/// assert_eq!(ring.statistics().in_use, 1);
/// drop(batch);
/// assert_eq!(ring.statistics().in_use, 0);
/// # Ok::<(), MemoryError>(())
/// ```
pub struct StagingPool {
    ring: Arc<Ring>,
}

struct Ring {
    state: Mutex<RingState>,
    /// Signalled when a slot comes free and when the ring closes.
    changed: Condvar,
    slots: Box<[Slot]>,
}

struct Slot {
    tensors: Box<[Tensor]>,
    /// Handles on the frozen slot.
    readers: HandleCount,
}

struct RingState {
    /// Indices of free slots, the longest free first. Its capacity is the number of slots.
    free: VecDeque<usize>,
    closed: bool,
    acquired: u64,
    waits: u64,
    waiting: usize,
    waited: Duration,
}

/// What a staging pool has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagingStatistics {
    /// Slots of the ring.
    pub slots: usize,
    /// Slots being filled or read now.
    pub in_use: usize,
    /// Slots handed out so far.
    pub acquired: u64,
    /// How often a producer found no slot free and waited.
    pub waits: u64,
    /// Producers that wait now, while no slot is free.
    pub waiting: usize,
    /// How long producers have waited, all together.
    pub waited: Duration,
}

impl StagingPool {
    /// A ring of `slots` slots (two or three will do), each with one tensor per entry of `layout`.
    ///
    /// # Errors
    /// [`MemoryError::EmptyStaging`] without slots or tensors, [`MemoryError::NotHostVisible`] if
    /// the device's memory cannot be filled by the host, or as for [`MemoryManager::allocate`].
    #[track_caller]
    pub fn new(
        memory: &MemoryManager,
        slots: usize,
        layout: &[(Shape, DType)],
    ) -> Result<Arc<StagingPool>, MemoryError> {
        if slots == 0 || layout.is_empty() {
            return Err(MemoryError::EmptyStaging { slots, tensors: layout.len() });
        }
        let mut ring = Vec::with_capacity(slots);
        for _ in 0..slots {
            let mut tensors = Vec::with_capacity(layout.len());
            for (shape, dtype) in layout {
                tensors.push(memory.zeros(shape, *dtype)?);
            }
            if tensors.iter().any(|tensor| tensor.host_pointer().is_none()) {
                let device = memory.device().name().to_owned();
                return Err(MemoryError::NotHostVisible { device });
            }
            ring.push(Slot { tensors: tensors.into(), readers: HandleCount::default() });
        }
        let state = RingState {
            free: (0..slots).collect(),
            closed: false,
            acquired: 0,
            waits: 0,
            waiting: 0,
            waited: Duration::ZERO,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let ring = Arc::new(Ring { state, changed, slots: ring.into() });
        Ok(Arc::new(StagingPool { ring }))
    }

    /// A free slot; waits while all are in use.
    ///
    /// # Errors
    /// [`MemoryError::Closed`] once [`StagingPool::close`] was called, also while waiting.
    pub fn acquire(&self) -> Result<StagingSlot, MemoryError> {
        self.acquire_until(None)
    }

    /// A free slot; waits for at most `timeout` while all are in use.
    ///
    /// # Errors
    /// [`MemoryError::TimedOut`], and as for [`StagingPool::acquire`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<StagingSlot, MemoryError> {
        self.acquire_until(Some(timeout))
    }

    /// A free slot, if there is one now and the ring is open.
    pub fn try_acquire(&self) -> Option<StagingSlot> {
        self.take(&mut lock(&self.ring.state)).ok().flatten()
    }

    fn acquire_until(&self, timeout: Option<Duration>) -> Result<StagingSlot, MemoryError> {
        let mut state = lock(&self.ring.state);
        if let Some(slot) = self.take(&mut state)? {
            return Ok(slot);
        }
        state.waits += 1;
        state.waiting += 1;
        let start = Instant::now();
        loop {
            let remaining = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            let timed_out = remaining.is_some_and(|remaining| remaining.is_zero());
            if !timed_out {
                state = self.wait(state, remaining);
            }
            let taken = self.take(&mut state);
            if matches!(taken, Ok(None)) && !timed_out {
                continue;
            }
            let waited = start.elapsed();
            state.waiting -= 1;
            state.waited += waited;
            return taken?.ok_or(MemoryError::TimedOut { waited });
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, RingState>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, RingState> {
        let changed = &self.ring.changed;
        match timeout {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// The slot that has been free for longest; `None` if all are in use.
    fn take(&self, state: &mut RingState) -> Result<Option<StagingSlot>, MemoryError> {
        if state.closed {
            return Err(MemoryError::Closed);
        }
        let Some(index) = state.free.pop_front() else { return Ok(None) };
        state.acquired += 1;
        Ok(Some(StagingSlot { ring: Arc::clone(&self.ring), index, frozen: false }))
    }

    /// Ends the ring: every producer, waiting or yet to come, gets [`MemoryError::Closed`]. Batches
    /// that were frozen stay readable.
    pub fn close(&self) {
        lock(&self.ring.state).closed = true;
        self.ring.changed.notify_all();
    }

    /// Whether [`StagingPool::close`] was called.
    pub fn is_closed(&self) -> bool {
        lock(&self.ring.state).closed
    }

    /// The number of slots, how many are in use, and how often producers waited.
    pub fn statistics(&self) -> StagingStatistics {
        let state = lock(&self.ring.state);
        let slots = self.ring.slots.len();
        StagingStatistics {
            slots,
            in_use: slots - state.free.len(),
            acquired: state.acquired,
            waits: state.waits,
            waiting: if state.free.is_empty() { state.waiting } else { 0 },
            waited: state.waited,
        }
    }
}

impl fmt::Debug for StagingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StagingPool").field(&self.statistics()).finish()
    }
}

impl Ring {
    fn give_back(&self, index: usize) {
        lock(&self.state).free.push_back(index);
        self.changed.notify_one();
    }
}

/// The elements of a tensor of a slot, by their type.
#[derive(Debug)]
pub enum SliceMut<'a> {
    /// [`DType::F32`].
    F32(&'a mut [f32]),
    /// [`DType::F16`].
    F16(&'a mut [f16]),
    /// [`DType::BF16`].
    BF16(&'a mut [bf16]),
    /// [`DType::I32`].
    I32(&'a mut [i32]),
    /// [`DType::U8`].
    U8(&'a mut [u8]),
}

/// A slot that is being filled, by its one owner. Dropping it without
/// [`freeze`](StagingSlot::freeze) returns it to the ring.
pub struct StagingSlot {
    ring: Arc<Ring>,
    index: usize,
    /// The slot was passed on to a [`Staged`].
    frozen: bool,
}

impl StagingSlot {
    /// The tensors of the slot, in the order of the layout.
    pub fn tensors(&self) -> &[Tensor] {
        &self.ring.slots[self.index].tensors
    }

    /// The elements of the tensor at `index` of the layout, to be filled. They hold what the
    /// slot's last user left.
    ///
    /// # Errors
    /// [`MemoryError::NoSuchTensor`], [`MemoryError::DTypeMismatch`], and
    /// [`MemoryError::StillShared`] if someone has kept a clone or view of the tensor from an
    /// earlier batch beyond the life of its [`Staged`].
    pub fn slice_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], MemoryError> {
        let tensors = self.tensors();
        let tensor = tensors
            .get(index)
            .ok_or(MemoryError::NoSuchTensor { index, tensors: tensors.len() })?;
        tensor.check_exclusive()?;
        // SAFETY: the ring's own handle is the only one. The slot has this one owner, whose
        // mutable borrow keeps others from getting at that handle while the slice lives.
        unsafe { tensor.host_slice_mut() }
    }

    /// The elements of all tensors, in the order of the layout, to be filled side by side. They hold
    /// what the slot's last user left.
    ///
    /// # Errors
    /// An item is [`MemoryError::StillShared`] where someone has kept a clone or view of that tensor
    /// from an earlier batch beyond the life of its [`Staged`].
    pub fn slices_mut(&mut self) -> impl Iterator<Item = Result<SliceMut<'_>, MemoryError>> {
        self.tensors().iter().map(|tensor| {
            tensor.check_exclusive()?;
            // SAFETY: the ring's own handle is the only one on this tensor's buffer, so no two tensors
            // of the slot share one. The slot has this one owner, whose mutable borrow keeps others
            // from getting at that handle while the slices live.
            unsafe {
                Ok(match tensor.dtype() {
                    DType::F32 => SliceMut::F32(tensor.host_slice_mut()?),
                    DType::F16 => SliceMut::F16(tensor.host_slice_mut()?),
                    DType::BF16 => SliceMut::BF16(tensor.host_slice_mut()?),
                    DType::I32 => SliceMut::I32(tensor.host_slice_mut()?),
                    DType::U8 => SliceMut::U8(tensor.host_slice_mut()?),
                })
            }
        })
    }

    /// Ends the filling: from here on the slot is shared and only read.
    pub fn freeze(mut self) -> Staged {
        self.frozen = true;
        self.ring.slots[self.index].readers.begin();
        Staged { ring: Arc::clone(&self.ring), index: self.index }
    }
}

impl Drop for StagingSlot {
    fn drop(&mut self) {
        if !self.frozen {
            self.ring.give_back(self.index);
        }
    }
}

impl fmt::Debug for StagingSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagingSlot")
            .field("index", &self.index)
            .field("tensors", &self.tensors())
            .finish_non_exhaustive()
    }
}

/// A filled slot, shared by those who read it. When the last clone is dropped the slot returns to
/// the ring. Do not keep clones of the tensors longer than that.
pub struct Staged {
    ring: Arc<Ring>,
    index: usize,
}

impl Staged {
    /// The tensors of the batch, in the order of the layout. To be read, not written.
    pub fn tensors(&self) -> &[Tensor] {
        &self.ring.slots[self.index].tensors
    }
}

impl Clone for Staged {
    fn clone(&self) -> Staged {
        self.ring.slots[self.index].readers.retain();
        Staged { ring: Arc::clone(&self.ring), index: self.index }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.ring.slots[self.index].readers.release() {
            self.ring.give_back(self.index);
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("index", &self.index)
            .field("tensors", &self.tensors())
            .finish_non_exhaustive()
    }
}
