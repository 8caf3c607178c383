//! The executor: threads, memory and counters that its steps share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onestep_engine::{
    DType, EngineError, Executor, Footprint, Program, StateLayout, StateTable, Step, StepCounters,
    TicketRing, plan,
};
use onestep_memory::{HostDevice, MemoryError, MemoryManager, Shape, Tensor, available_memory};

use crate::error::CpuError;
use crate::native::ScratchNeed;
use crate::pool::Pool;
use crate::simd::Level;
use crate::step::{CpuStep, Lowered};

/// Results of the last so many steps can be asked of their tickets.
const TICKETS: usize = 256;
/// More threads than any machine of today has.
const MOST_THREADS: usize = 4096;

/// How a [`CpuExecutor`] is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads, the caller included; by default as many as the machine runs at once.
    pub threads: Option<usize>,
    /// The most bytes of memory, state included; by default what the machine has free when the
    /// executor is made ([`onestep_memory::available_memory`]).
    pub memory_budget: Option<usize>,
    /// The instruction set; by default the best one of this machine.
    pub level: Option<Level>,
}

/// Runs programs on the CPU. A step is done when `submit` returns.
///
/// The same program, seed, thread count and machine give the same bits. Within a step subnormal
/// numbers count as zero, on the processors that can (x86-64 and AArch64).
///
/// ```
/// use onestep_backend_cpu::{CpuExecutor, CpuOptions};
/// use onestep_engine::{DType, Executor, Feeds, Graph, Named, Program, Scalars};
/// use onestep_engine::{StateLayout, StateTable};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut g = Graph::new();
/// let x = g.input("x", &[2, 3], DType::F32)?;
/// let y = g.softmax(x, 1)?;
/// let program = Program::predict(g, vec![Named::new("y", y)]);
///
/// let mut executor = CpuExecutor::new(CpuOptions::default())?;
/// let state = StateTable::new(StateLayout::new(&program.groups, &[], None)?, executor.memory())?;
/// let mut step = executor.compile(&program, &state)?;
/// let x = executor.memory().from_slice([2, 3], &[0.0f32; 6])?;
/// step.submit(Feeds::new(&[x]), &Scalars::new(0))?;
/// assert!((step.read_output("y")?[0] - 1.0 / 3.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CpuExecutor {
    memory: MemoryManager,
    threads: usize,
    level: Level,
    runtime: Arc<Runtime>,
    steps: u64,
}

impl CpuExecutor {
    /// Starts the threads.
    ///
    /// # Errors
    /// A number of threads that makes no sense or that the system refuses, or instructions that
    /// this machine lacks.
    pub fn new(options: CpuOptions) -> Result<CpuExecutor, CpuError> {
        let level = options.level.unwrap_or_else(Level::best);
        if !level.is_available() {
            return Err(CpuError::MissingInstructions { wanted: level, best: Level::best() });
        }
        let available = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = options.threads.unwrap_or_else(available);
        match threads {
            0 => return Err(CpuError::NoThreads),
            got if got > MOST_THREADS => {
                return Err(CpuError::TooManyThreads { most: MOST_THREADS, got });
            }
            _ => {}
        }
        crate::speed::warn();
        let memory = MemoryManager::new(Arc::new(HostDevice::new()));
        memory.set_budget(options.memory_budget.or_else(available_memory));
        let runtime = Arc::new(Runtime::new(Pool::new(threads)?));
        Ok(CpuExecutor { memory, threads, level, runtime, steps: 0 })
    }

    /// Threads, the caller included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The instruction set that kernels use.
    pub fn level(&self) -> Level {
        self.level
    }
}

impl Executor for CpuExecutor {
    fn name(&self) -> String {
        let plural = if self.threads == 1 { "" } else { "s" };
        format!("cpu ({} thread{plural}, {})", self.threads, self.level)
    }

    fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    fn compile(
        &mut self,
        program: &Program,
        state: &StateTable,
    ) -> Result<Box<dyn Step>, EngineError> {
        let budget = self.memory.budget();
        let plan = plan::compile(program, state.layout(), budget)?;
        self.steps += 1;
        let machine = (self.threads, self.level);
        let step = CpuStep::new(self.steps, plan, state, machine, Arc::clone(&self.runtime))?;
        plan::check_budget(&step.footprint(), budget)?;
        self.runtime.lock().grow(&self.memory, step.arena_bytes(), step.scratch_need())?;
        Ok(Box::new(step))
    }

    fn footprint(&self, program: &Program, layout: &StateLayout) -> Result<Footprint, EngineError> {
        let plan = plan::compile(program, layout, None)?;
        Ok(Lowered::new(&plan, (self.threads, self.level))?.footprint)
    }

    fn counters(&self) -> StepCounters {
        let reads = self.runtime.reads.load(Ordering::Relaxed);
        StepCounters {
            native_calls: self.runtime.calls.load(Ordering::Relaxed),
            allocations: self.memory.statistics().total.device_allocations,
            host_syncs: reads + self.runtime.ring.waits(),
        }
    }
}

/// What the steps of one executor share. They run one at a time.
#[derive(Debug)]
pub(crate) struct Runtime {
    shared: Mutex<Shared>,
    pub(crate) ring: Arc<TicketRing>,
    /// Steps submitted, and outputs read.
    pub(crate) calls: AtomicU64,
    pub(crate) reads: AtomicU64,
}

/// The part of a [`Runtime`] that a running step has to itself.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pool: Pool,
    /// Intermediate values, as large as the largest step needs.
    pub(crate) arena: Option<Tensor>,
    pub(crate) scratch: Option<Tensor>,
    /// The number of the next step that runs.
    pub(crate) serial: u64,
    /// The compiled step that ran last, whose outputs are still there.
    pub(crate) last: u64,
    need: ScratchNeed,
}

impl Runtime {
    fn new(pool: Pool) -> Runtime {
        let need = ScratchNeed::default();
        let shared = Shared { pool, arena: None, scratch: None, serial: 0, last: 0, need };
        Runtime {
            shared: Mutex::new(shared),
            ring: TicketRing::new(TICKETS),
            calls: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }

    /// Uncontended unless steps of one executor are submitted from several threads.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        // What a panic leaves behind is scratch memory, which every step overwrites.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes room for a step.
    fn grow(
        &mut self,
        memory: &MemoryManager,
        arena: usize,
        need: ScratchNeed,
    ) -> Result<(), EngineError> {
        enlarge(memory, &mut self.arena, arena)?;
        self.need = self.need.max(need);
        enlarge(memory, &mut self.scratch, self.need.bytes(self.pool.threads()))?;
        Ok(())
    }

    /// The scratch memory's parts.
    pub(crate) fn need(&self) -> ScratchNeed {
        self.need
    }
}

/// Replaces a buffer by a larger one, if it is too small. Nothing in it is kept.
fn enlarge(
    memory: &MemoryManager,
    buffer: &mut Option<Tensor>,
    bytes: usize,
) -> Result<(), MemoryError> {
    let has = buffer.as_ref().map_or(0, Tensor::bytes);
    if has >= bytes && buffer.is_some() {
        return Ok(());
    }
    let allocate = |bytes: usize| memory.allocate(Shape::new(&[bytes.max(1)])?, DType::U8);
    let new = allocate(bytes).or_else(|_| {
        // Both at once may be over the budget.
        *buffer = None;
        allocate(bytes)
    });
    if new.is_err() && buffer.is_none() && has > 0 {
        *buffer = Some(allocate(has)?);
    }
    *buffer = Some(new?);
    Ok(())
}
