//! In steady state a step is one call without any allocation, on the heap or on the device.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Bench, Model, Result, network, numbers, perceptron};
use libtest_mimic::{Arguments, Trial};
use onestep_backend_cpu::{CpuExecutor, CpuOptions};
use onestep_engine::{
    Engine, EngineError, Executor, Feeds, Mode, ProgramSource, Scalars, StepCounters,
};
use onestep_memory::MemoryError;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// On the one thread that is there: the usual harness has a thread of its own, which allocates while a test
/// begins.
fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let step = Trial::test("a_step_is_one_call_and_allocates_nothing", || {
        Ok(a_step_is_one_call_and_allocates_nothing()?)
    });
    let engine = Trial::test("an_engine_finds_the_plan_of_a_batch_without_allocating", || {
        Ok(an_engine_finds_the_plan_of_a_batch_without_allocating()?)
    });
    libtest_mimic::run(&arguments, vec![step, engine]).exit();
}

/// Batches of several sizes in turn, their fields in another order than the program's.
fn an_engine_finds_the_plan_of_a_batch_without_allocating() -> Result<()> {
    let executor = CpuExecutor::new(CpuOptions { threads: Some(1), ..CpuOptions::default() })?;
    let Model { program, layout } = network(1, 16, Mode::Train)?;
    let layout = layout.accumulating(&program.groups, program.update.as_ref().ok_or("none")?)?;
    let source: ProgramSource = Box::new(|mode, fields| {
        let made = network(fields.batch(), 16, mode);
        let refuse = |e: Box<dyn std::error::Error>| EngineError::Invariant { what: e.to_string() };
        let Model { mut program, .. } = made.map_err(refuse)?;
        program.accumulation = Some(program.graph.constant(fields.batch() as f32)?);
        Ok(program)
    });
    let mut engine = Engine::new(Box::new(executor), layout, source)?;
    let memory = engine.memory().clone();
    let names = ["target", "input"].map(String::from);
    let batches = [4, 7, 16].map(|n| {
        let image = memory.from_slice([n, 3, 16, 16], &numbers(1, n * 3 * 256))?;
        Ok::<_, MemoryError>([memory.from_slice([n], &vec![1; n])?, image])
    });
    let batches = batches.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let mut scalars = Scalars::new(7);
    scalars.set("lr", 0.05);
    let mut round = |engine: &mut Engine| {
        for batch in &batches {
            engine.submit(Mode::Train, Feeds::named(&names, batch), &scalars)?;
            engine.submit(Mode::Predict, Feeds::named(&names, batch), &scalars)?;
            engine.submit(Mode::Accumulate, Feeds::named(&names, batch), &scalars)?;
            engine.submit(Mode::Train, Feeds::new(batch), &scalars)?;
            scalars.step += 1;
        }
        Ok::<_, EngineError>(())
    };
    // In the second round the steps let go of the smaller memory of before the larger ones came.
    round(&mut engine)?;
    round(&mut engine)?;
    let (heap, counters) = (ALLOCATIONS.load(Ordering::Relaxed), engine.counters());
    round(&mut engine)?;
    round(&mut engine)?;
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - heap, 0);
    let done = engine.counters() - counters;
    assert_eq!(done, StepCounters { native_calls: 24, allocations: 0, host_syncs: 0 });
    assert_eq!(engine.plans(), 9);
    Ok(())
}

fn a_step_is_one_call_and_allocates_nothing() -> Result<()> {
    let models = [network(16, 32, Mode::Train)?, perceptron(false)?];
    for (threads, model) in [1, 2].into_iter().flat_map(|t| models.iter().map(move |m| (t, m))) {
        let options = CpuOptions { threads: Some(threads), ..CpuOptions::default() };
        let mut bench = Bench::new(model, options)?;
        for _ in 0..3 {
            bench.submit()?;
        }
        let (heap, counters) = (ALLOCATIONS.load(Ordering::Relaxed), bench.executor.counters());
        let mut last = None;
        for _ in 0..20 {
            last = Some(bench.step.submit(Feeds::new(&bench.feeds), &bench.scalars)?);
            bench.scalars.step += 1;
        }
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - heap;
        assert_eq!(allocated, 0, "heap allocations with {threads} threads");
        let done = bench.executor.counters() - counters;
        assert_eq!(done, StepCounters { native_calls: 20, allocations: 0, host_syncs: 0 });
        assert!(last.ok_or("no step")?.wait()?.loss().is_some_and(f32::is_finite));
        bench.step.read_output("logits")?;
        assert_eq!((bench.executor.counters() - counters).host_syncs, 1);
    }
    Ok(())
}
