//! In steady state a step is one call without any allocation, on the heap or on the device.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Bench, Result, network, perceptron};
use libtest_mimic::{Arguments, Trial};
use onestep_backend_cpu::CpuOptions;
use onestep_engine::{Executor, Feeds, Mode, StepCounters};

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

/// One test only, and on the one thread that is there: the usual harness has a thread of its own, which
/// allocates while a test begins.
fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let test = || Ok(a_step_is_one_call_and_allocates_nothing()?);
    let name = "a_step_is_one_call_and_allocates_nothing";
    libtest_mimic::run(&arguments, vec![Trial::test(name, test)]).exit();
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
