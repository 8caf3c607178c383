//! The executor: threads, memory and counters that its steps share.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use onestep_engine::{
    EngineError, Executor, Footprint, Program, StateLayout, StateTable, Step, StepCounters, plan,
};
use onestep_memory::{HostDevice, MemoryManager, available_memory};

use crate::error::CpuError;
use crate::machine::Machine;
use crate::pool::Pool;
use crate::runtime::Runtime;
use crate::simd::Level;
use crate::step::{CpuStep, Lowered};

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

    fn machine(&self) -> Machine {
        Machine { threads: self.threads, level: self.level }
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
        let machine = self.machine();
        let step = CpuStep::new(self.steps, plan, state, machine, Arc::clone(&self.runtime))?;
        plan::check_budget(&step.footprint(), budget)?;
        self.runtime.lock().grow(&self.memory, step.arena_bytes(), step.scratch_need())?;
        Ok(Box::new(step))
    }

    fn footprint(&self, program: &Program, layout: &StateLayout) -> Result<Footprint, EngineError> {
        let plan = plan::compile(program, layout, None)?;
        Ok(Lowered::new(&plan, self.machine())?.footprint)
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
