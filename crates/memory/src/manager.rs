//! Where tensors come from.

use std::panic::Location;
use std::sync::Arc;

use crate::{
    BufferPool, BufferToken, DType, Device, Element, HostDevice, Leak, MemoryError, PoolLimits,
    PoolStatistics, Shape, Tensor,
};

/// Makes tensors on one device and accounts for them. Clones are handles on the same manager.
///
/// ```
/// use onestep_memory::{DType, MemoryError, MemoryManager};
///
/// let memory = MemoryManager::host().with_budget(1 << 20);
/// let small = memory.zeros([256, 256], DType::F32)?;
/// assert_eq!(small.bytes(), 256 << 10);
///
/// let refused = memory.allocate([1024, 1024], DType::F32).unwrap_err();
/// assert_eq!(
///     refused,
///     MemoryError::BudgetExceeded { requested: 4 << 20, live: 256 << 10, budget: 1 << 20 }
/// );
/// assert_eq!(memory.leak_report().len(), 1);
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryManager {
    pool: Arc<BufferPool>,
}

impl MemoryManager {
    /// A manager of a device's memory, without a budget.
    pub fn new(device: Arc<dyn Device>) -> MemoryManager {
        MemoryManager { pool: BufferPool::new(device, PoolLimits::default()) }
    }

    /// A manager of plain host memory.
    pub fn host() -> MemoryManager {
        MemoryManager::new(Arc::new(HostDevice::new()))
    }

    /// Sets the most bytes that may be taken from the device, live and pooled together; it counts
    /// for all clones.
    #[must_use]
    pub fn with_budget(self, bytes: usize) -> MemoryManager {
        self.pool.set_budget(Some(bytes));
        self
    }

    /// Sets the most bytes each tier keeps idle; it counts for all clones.
    #[must_use]
    pub fn with_limits(self, limits: PoolLimits) -> MemoryManager {
        self.pool.set_limits(limits);
        self
    }

    /// Sets or lifts the budget (see [`BufferPool::set_budget`]).
    pub fn set_budget(&self, budget: Option<usize>) {
        self.pool.set_budget(budget);
    }

    /// The budget in bytes, if there is one.
    pub fn budget(&self) -> Option<usize> {
        self.pool.budget()
    }

    /// The device tensors are made on.
    pub fn device(&self) -> &Arc<dyn Device> {
        self.pool.device()
    }

    /// The pool buffers come from.
    pub fn pool(&self) -> &Arc<BufferPool> {
        &self.pool
    }

    /// A tensor with unspecified contents. Once the pool has an idle buffer of the size class,
    /// this allocates neither on the device nor on the heap.
    ///
    /// # Errors
    /// [`MemoryError::ShapeOverflow`], [`MemoryError::BudgetExceeded`], or what the device reports.
    #[track_caller]
    pub fn allocate(&self, shape: impl Into<Shape>, dtype: DType) -> Result<Tensor, MemoryError> {
        let shape = shape.into();
        let Some(bytes) = shape.elements().checked_mul(dtype.size()) else {
            return Err(MemoryError::ShapeOverflow { shape });
        };
        let record = Leak::new(shape.clone(), dtype, bytes, Location::caller());
        Ok(Tensor::new(self.pool.acquire_for(record)?, shape, dtype))
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// As for [`MemoryManager::allocate`].
    #[track_caller]
    pub fn zeros(&self, shape: impl Into<Shape>, dtype: DType) -> Result<Tensor, MemoryError> {
        let tensor = self.allocate(shape, dtype)?;
        tensor.fill_zero()?;
        Ok(tensor)
    }

    /// A tensor with the given elements, row-major.
    ///
    /// # Errors
    /// [`MemoryError::LengthMismatch`] if there are not exactly as many as the shape has; else as
    /// for [`MemoryManager::allocate`].
    #[track_caller]
    pub fn from_slice<T: Element>(
        &self,
        shape: impl Into<Shape>,
        data: &[T],
    ) -> Result<Tensor, MemoryError> {
        let shape = shape.into();
        if shape.elements() != data.len() {
            return Err(MemoryError::LengthMismatch { shape, got: data.len() });
        }
        let tensor = self.allocate(shape, T::DTYPE)?;
        tensor.write(data)?;
        Ok(tensor)
    }

    /// Frees idle buffers until at most `to_bytes` bytes lie idle; returns the bytes freed.
    pub fn trim(&self, to_bytes: usize) -> usize {
        self.pool.trim(to_bytes)
    }

    /// What is held, by tier and in total.
    pub fn statistics(&self) -> PoolStatistics {
        self.pool.statistics()
    }

    /// Lets the peaks start again from what is held now.
    pub fn reset_peaks(&self) {
        self.pool.reset_peaks();
    }

    /// Every tensor whose buffer is still in use, oldest first. Debug builds say where each was
    /// made. Views and clones do not count by themselves.
    pub fn leak_report(&self) -> Vec<Leak> {
        self.pool.leak_report()
    }

    /// Checks that the allocation a [`Tensor::token`] names is still alive.
    ///
    /// # Errors
    /// [`MemoryError::UseAfterFree`] if its last handle has been dropped.
    pub fn check(&self, token: BufferToken) -> Result<(), MemoryError> {
        self.pool.check(token)
    }
}
