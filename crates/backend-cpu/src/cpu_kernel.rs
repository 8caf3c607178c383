//! What a lowered kernel is, and what it finds when it runs.

use onestep_engine::plan::{Place, Plan, Region};
use onestep_engine::{DType, EngineError};

use crate::pool::Turn;
use crate::simd::{Level, RandomKey};
use crate::stores::{Window, Windows};

/// Scratch memory is handed out in multiples of this: a cache line, the widest vector.
pub(crate) const ALIGNMENT: usize = 64;

/// A kernel with everything computed that does not depend on addresses: jobs one after the other,
/// each of tasks that may run at the same time, in any order.
pub(crate) trait CpuKernel: Send + Sync {
    /// The scratch memory it needs.
    fn scratch(&self) -> ScratchNeed;

    /// How many tasks a job has; `None` behind the last job.
    fn tasks(&self, job: usize) -> Option<usize>;

    /// Adds where a task of a job may write, but for the scratch memory of its worker.
    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows);

    /// Runs a task of a job.
    ///
    /// # Safety
    /// `context` has the addresses of the plan that the kernel was lowered from, and at least the
    /// scratch memory that it asked for; nothing else uses them meanwhile. All jobs before this one
    /// are done, and each task runs once.
    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn);

    /// The kernel's type, by which tests know what an op was lowered to.
    #[cfg(test)]
    fn way(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Into how many strips each picture is cut, and whether the last one is shorter.
    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        (1, false)
    }
}

/// Bytes of scratch memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScratchNeed {
    /// Once for all workers.
    pub(crate) shared: usize,
    /// For each worker.
    pub(crate) worker: usize,
}

impl ScratchNeed {
    /// What serves both, one after the other.
    pub(crate) fn max(self, other: ScratchNeed) -> ScratchNeed {
        ScratchNeed {
            shared: self.shared.max(other.shared).next_multiple_of(ALIGNMENT),
            worker: self.worker.max(other.worker).next_multiple_of(ALIGNMENT),
        }
    }

    /// All of it.
    pub(crate) fn bytes(self, threads: usize) -> usize {
        self.shared + self.worker * threads
    }
}

/// What kernels find when a step runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The regions' addresses, in the order of [`Regions`].
    pub(crate) bases: &'a [*mut u8],
    pub(crate) key: RandomKey,
    pub(crate) level: Level,
    pub(crate) scratch: *mut u8,
    pub(crate) need: ScratchNeed,
}

// SAFETY: the addresses are shared between the tasks of a kernel, which write disjoint parts.
unsafe impl Sync for Context<'_> {}

impl Context<'_> {
    /// The address of an operand.
    pub(crate) fn at(&self, address: Address) -> *mut u8 {
        // SAFETY: the plan keeps its offsets within their regions.
        unsafe { self.bases[address.base].add(address.offset) }
    }

    /// The address of an f32 operand.
    pub(crate) fn floats(&self, address: Address) -> *mut f32 {
        self.at(address).cast()
    }

    /// So many f32 elements of an operand from one on, as a window of a task.
    pub(crate) fn window(&self, address: Address, from: usize, count: usize) -> Window {
        Window::run(self.floats(address).wrapping_add(from), count)
    }

    /// The first bytes of the scratch memory that workers share, as a window of a task.
    pub(crate) fn shared_window(&self, bytes: usize) -> Window {
        Window::run(self.scratch, bytes)
    }

    /// The scratch memory of all.
    pub(crate) fn shared_scratch(&self) -> *mut u8 {
        self.scratch
    }

    /// The same without the first bytes of the shared scratch memory, which are another kernel's.
    pub(crate) fn behind(&self, bytes: usize) -> Self {
        let need = ScratchNeed { shared: self.need.shared - bytes, ..self.need };
        Context { scratch: self.scratch.wrapping_add(bytes), need, ..*self }
    }

    /// The scratch memory of one worker.
    pub(crate) fn worker_scratch(&self, worker: usize) -> *mut u8 {
        // SAFETY: there is such memory for each worker behind that of all.
        unsafe { self.scratch.add(self.need.shared + worker * self.need.worker) }
    }
}

/// A place in memory as a kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The region's position in [`Context::bases`].
    pub(crate) base: usize,
    /// Bytes from its start.
    pub(crate) offset: usize,
}

/// The order of a plan's regions in [`Context::bases`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Regions {
    feeds: usize,
    states: usize,
    constants: usize,
}

impl Regions {
    /// The position of the arena.
    pub(crate) const ARENA: usize = 0;
    /// The position of the scalars.
    pub(crate) const SCALARS: usize = 1;

    pub(crate) fn of(plan: &Plan) -> Regions {
        Regions::new(plan.feeds.len(), plan.states.len(), plan.constants.len())
    }

    pub(crate) fn new(feeds: usize, states: usize, constants: usize) -> Regions {
        Regions { feeds, states, constants }
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        2 + self.feeds + self.states + self.constants
    }

    pub(crate) fn feed(self, index: usize) -> usize {
        2 + index
    }

    pub(crate) fn state(self, index: usize) -> usize {
        2 + self.feeds + index
    }

    pub(crate) fn constant(self, index: usize) -> usize {
        2 + self.feeds + self.states + index
    }

    /// Where a place of the plan is found.
    ///
    /// # Errors
    /// The plan names a region that it does not have.
    pub(crate) fn address(self, place: &Place) -> Result<Address, EngineError> {
        let (base, known) = match place.region {
            Region::Arena => (Self::ARENA, true),
            Region::Scalars => (Self::SCALARS, true),
            Region::Feed(i) => (self.feed(i), i < self.feeds),
            Region::State(i) => (self.state(i), i < self.states),
            Region::Constant(i) => (self.constant(i), i < self.constants),
        };
        if !known {
            return Err(broken(format!("{:?} is not a region of the plan", place.region)));
        }
        Ok(Address { base, offset: place.offset })
    }
}

/// An error about a plan that no compiler should have made.
pub(crate) fn broken(what: impl Into<String>) -> EngineError {
    EngineError::Invariant { what: what.into() }
}

/// An error about an op that this backend lacks.
pub(crate) fn unsupported(op: impl Into<String>, reason: impl Into<String>) -> EngineError {
    EngineError::Unsupported { backend: "cpu", op: op.into(), reason: reason.into() }
}

/// Checks what the plan promises of the operands of an op: contiguous, and of this dtype.
pub(crate) fn expect(op: &str, place: &Place, dtype: DType) -> Result<(), EngineError> {
    if place.dtype != dtype {
        return Err(unsupported(op, format!("operands are {dtype}, got {}", place.dtype)));
    }
    if !place.is_contiguous() {
        return Err(broken(format!("{op} has an operand with gaps")));
    }
    Ok(())
}

/// The work of a task, in simple vector operations on single elements, below which another thread
/// is not worth waking: about ten microseconds. Tests cut small domains too.
const GRAIN: usize = if cfg!(test) { 1 << 6 } else { 1 << 16 };

/// Into how many tasks to split work of about `cost` element operations.
pub(crate) fn tasks_for(cost: usize, threads: usize) -> usize {
    (cost / GRAIN).clamp(1, threads.max(1))
}

/// Part `index` of `0..total` in `parts` almost equal parts of multiples of `unit`.
pub(crate) fn part(total: usize, parts: usize, index: usize, unit: usize) -> (usize, usize) {
    let units = total.div_ceil(unit);
    let bound = |i: usize| (units * i / parts * unit).min(total);
    (bound(index), bound(index + 1))
}
