//! The pool of buffers between a device and the tensors.

use std::panic::Location;
use std::sync::{Arc, Mutex};

use crate::buffer::Block;
use crate::registry::Registry;
use crate::sync::lock;
use crate::{
    BufferToken, DType, Device, Leak, MemoryError, PoolLimits, PoolStatistics, PooledBuffer, Shape,
    SizeClass, Tier, TierStatistics,
};

/// Buffers of a device, recycled by size class, within a budget.
///
/// A request takes an idle buffer of its class if there is one, without touching the device or the
/// heap. Otherwise the device allocates; if the budget stands in the way, idle buffers are freed
/// first, largest first.
///
/// ```
/// use std::sync::Arc;
/// use onestep_memory::{BufferPool, HostDevice, MemoryError, PoolLimits};
///
/// let pool = BufferPool::new(Arc::new(HostDevice::new()), PoolLimits::default());
/// drop(pool.acquire(3000)?);
/// let buffer = pool.acquire(4000)?; // the same class, 4 KiB: recycled
/// let total = pool.statistics().total;
/// assert_eq!((total.hits, total.device_allocations, total.live), (1, 1, 4096));
/// # drop(buffer);
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Debug)]
pub struct BufferPool {
    device: Arc<dyn Device>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: IdleBlocks,
    registry: Registry,
    statistics: PoolStatistics,
    limits: PoolLimits,
    budget: Option<usize>,
    last_generation: u64,
}

impl BufferPool {
    /// An empty pool without a budget.
    pub fn new(device: Arc<dyn Device>, limits: PoolLimits) -> Arc<BufferPool> {
        let state = State {
            idle: IdleBlocks::default(),
            registry: Registry::default(),
            statistics: PoolStatistics::default(),
            limits,
            budget: None,
            last_generation: 0,
        };
        Arc::new(BufferPool { device, state: Mutex::new(state) })
    }

    /// The device the buffers are of.
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// A buffer of at least `bytes` bytes with unspecified contents.
    ///
    /// # Errors
    /// [`MemoryError::BudgetExceeded`], or what the device reports.
    #[track_caller]
    pub fn acquire(self: &Arc<Self>, bytes: usize) -> Result<PooledBuffer, MemoryError> {
        let record = Leak::new(Shape::from([bytes]), DType::U8, bytes, Location::caller());
        self.acquire_for(record)
    }

    /// A buffer for what `record` describes.
    pub(crate) fn acquire_for(self: &Arc<Self>, record: Leak) -> Result<PooledBuffer, MemoryError> {
        let bytes = record.bytes;
        let class = SizeClass::of(bytes)
            .ok_or_else(|| MemoryError::ShapeOverflow { shape: record.shape.clone() })?;
        let mut state = lock(&self.state);
        let block = match state.idle.take(class) {
            Some(block) => {
                state.statistics.record(class.tier(), |tier| tier.hit(class.bytes()));
                block
            }
            None => self.allocate(&mut state, class)?,
        };
        state.last_generation += 1;
        let generation = state.last_generation;
        let slot = state.registry.insert(generation, record);
        block.begin(generation);
        let token = BufferToken { slot, generation };
        Ok(PooledBuffer::first(Arc::clone(self), block, bytes, token))
    }

    fn allocate(&self, state: &mut State, class: SizeClass) -> Result<Arc<Block>, MemoryError> {
        state.statistics.record(class.tier(), TierStatistics::miss);
        self.make_room(state, class)?;
        let raw = match self.device.allocate(class.bytes()) {
            // The device may be full of our own idle buffers.
            Err(MemoryError::DeviceOutOfMemory { .. }) if self.trim_to(state, 0) > 0 => {
                self.device.allocate(class.bytes())?
            }
            result => result?,
        };
        state.statistics.record(class.tier(), |tier| tier.allocated(class.bytes()));
        let host = self.device.host_pointer(&raw);
        Ok(Arc::new(Block::new(raw, class, host)))
    }

    /// Frees idle buffers until one of `class` fits the budget, or refuses and frees none.
    fn make_room(&self, state: &mut State, class: SizeClass) -> Result<(), MemoryError> {
        let Some(budget) = state.budget else { return Ok(()) };
        let (requested, live) = (class.bytes(), state.statistics.total.live);
        match budget.checked_sub(live).and_then(|room| room.checked_sub(requested)) {
            Some(room) => {
                self.trim_to(state, room);
                Ok(())
            }
            None => Err(MemoryError::BudgetExceeded { requested, live, budget }),
        }
    }

    /// Takes a block back from its last handle.
    pub(crate) fn release(&self, block: &Arc<Block>, slot: usize) {
        block.end();
        let (tier, bytes) = (block.class().tier(), block.class().bytes());
        let mut state = lock(&self.state);
        state.registry.remove(slot);
        let kept = state.statistics.tier(tier).pooled.saturating_add(bytes);
        if kept > state.limits.of(tier) || over_budget(&state) {
            state.statistics.record(tier, |tier| tier.returned_to_device(bytes));
            self.free(block);
        } else {
            state.statistics.record(tier, |tier| tier.returned_to_pool(bytes));
            state.idle.put(Arc::clone(block));
        }
    }

    fn free(&self, block: &Block) {
        if let Some(raw) = block.take_raw() {
            self.device.free(raw);
        }
    }

    /// Frees idle buffers, largest first, until at most `to_bytes` bytes lie idle. Returns the
    /// bytes freed.
    pub fn trim(&self, to_bytes: usize) -> usize {
        self.trim_to(&mut lock(&self.state), to_bytes)
    }

    fn trim_to(&self, state: &mut State, to_bytes: usize) -> usize {
        let before = state.statistics.total.pooled;
        while state.statistics.total.pooled > to_bytes {
            let Some(block) = state.idle.take_largest() else { break };
            let (tier, bytes) = (block.class().tier(), block.class().bytes());
            state.statistics.record(tier, |tier| tier.trimmed(bytes));
            self.free(&block);
        }
        before - state.statistics.total.pooled
    }

    /// The most bytes, live and idle, the pool may take from the device; `None` for no budget.
    pub fn budget(&self) -> Option<usize> {
        lock(&self.state).budget
    }

    /// Sets the budget, and frees idle buffers that exceed it. Live buffers stay: above the budget
    /// new ones are refused until enough have been dropped.
    pub fn set_budget(&self, budget: Option<usize>) {
        let mut state = lock(&self.state);
        state.budget = budget;
        if let Some(budget) = budget {
            let room = budget.saturating_sub(state.statistics.total.live);
            self.trim_to(&mut state, room);
        }
    }

    /// Sets the most bytes each tier keeps idle, and frees what exceeds them.
    pub fn set_limits(&self, limits: PoolLimits) {
        let mut state = lock(&self.state);
        state.limits = limits;
        for tier in Tier::ALL {
            while state.statistics.tier(tier).pooled > limits.of(tier) {
                let Some(block) = state.idle.take_largest_of(tier) else { break };
                let bytes = block.class().bytes();
                state.statistics.record(tier, |tier| tier.trimmed(bytes));
                self.free(&block);
            }
        }
    }

    /// What the pool holds and how it has served.
    pub fn statistics(&self) -> PoolStatistics {
        lock(&self.state).statistics
    }

    /// Lets the peaks start again from what is held now.
    pub fn reset_peaks(&self) {
        lock(&self.state).statistics.reset_peaks();
    }

    /// Every live buffer, oldest first.
    pub fn leak_report(&self) -> Vec<Leak> {
        lock(&self.state).registry.records()
    }

    /// Checks that the allocation a token names is still alive.
    ///
    /// # Errors
    /// [`MemoryError::UseAfterFree`] if it is not.
    pub fn check(&self, token: BufferToken) -> Result<(), MemoryError> {
        let found = lock(&self.state).registry.generation(token.slot);
        if found == token.generation {
            return Ok(());
        }
        Err(MemoryError::UseAfterFree { expected: token.generation, found })
    }
}

impl Drop for BufferPool {
    /// Every handle keeps the pool alive, so only idle buffers are left.
    fn drop(&mut self) {
        self.trim(0);
    }
}

/// Whether a budget that was lowered is still exceeded.
fn over_budget(state: &State) -> bool {
    state.budget.is_some_and(|budget| state.statistics.total.reserved() > budget)
}

/// Idle blocks by class.
#[derive(Debug, Default)]
struct IdleBlocks {
    powers: [Vec<Arc<Block>>; SizeClass::POWERS],
    /// Few, of arbitrary sizes: searched from end to end.
    huge: Vec<Arc<Block>>,
}

impl IdleBlocks {
    fn take(&mut self, class: SizeClass) -> Option<Arc<Block>> {
        match class.power() {
            Some(power) => self.powers[power].pop(),
            None => {
                let index = self.huge.iter().rposition(|block| block.class() == class)?;
                Some(self.huge.swap_remove(index))
            }
        }
    }

    fn put(&mut self, block: Arc<Block>) {
        match block.class().power() {
            Some(power) => self.powers[power].push(block),
            None => self.huge.push(block),
        }
    }

    fn take_largest(&mut self) -> Option<Arc<Block>> {
        Tier::ALL.into_iter().rev().find_map(|tier| self.take_largest_of(tier))
    }

    fn take_largest_of(&mut self, tier: Tier) -> Option<Arc<Block>> {
        if tier == Tier::Huge {
            let sizes = self.huge.iter().map(|block| block.class().bytes());
            let (index, _) = sizes.enumerate().max_by_key(|&(_, bytes)| bytes)?;
            return Some(self.huge.swap_remove(index));
        }
        let of_tier = |list: &&mut Vec<Arc<Block>>| {
            list.last().is_some_and(|block| block.class().tier() == tier)
        };
        self.powers.iter_mut().rev().find(of_tier)?.pop()
    }
}
