//! In steady state a step is one native call, one command buffer and one encode, and nothing else:
//! no wait, no copy by the host, no allocation on the device or on the submitting thread's heap.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onestep_backend_metal::{ConvolutionPath, MetalExecutor, MetalOptions, Statistics};
use onestep_engine::{Executor, Feeds, Mode, StepCounters, Ticket};
use onestep_memory::StagingPool;
use support::{Bench, Model, Result, on};

/// Counts the allocations of each thread by itself.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: it passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // At the end of a thread the counter is gone, and nobody asks for it.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
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

const STEPS: u64 = 50;
const BATCH: usize = 8;

/// Looks until the step is done, without blocking on it.
fn until_done(ticket: &Ticket) -> Result<f32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(reports) = ticket.poll()? {
            return Ok(reports.loss().ok_or("no loss")?);
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Err("a step did not end within a minute".into())
}

/// A network with a staging ring and the batch that goes through it again and again.
struct Training {
    bench: Bench<MetalExecutor>,
    ring: Arc<StagingPool>,
    input: Vec<f32>,
    target: Vec<i32>,
}

impl Training {
    fn new(options: &MetalOptions) -> Result<Training> {
        let bench = Bench::metal(&Model::new(Mode::Train, BATCH)?, options)?;
        let layout: Vec<_> =
            bench.feeds.iter().map(|feed| (feed.shape().clone(), feed.dtype())).collect();
        let ring = StagingPool::new(bench.executor.memory(), 4, &layout)?;
        let (input, target) = (bench.feeds[0].read()?, bench.feeds[1].read()?);
        Ok(Training { bench, ring, input, target })
    }

    /// Steps of which at most `in_flight` are not done. Gives the heap allocations of this thread
    /// within `submit`, and the last loss.
    fn run(&mut self, in_flight: usize, steps: u64) -> Result<(u64, f32)> {
        let mut pending: VecDeque<Ticket> = VecDeque::with_capacity(in_flight);
        let (mut heap, mut loss) = (0, f32::NAN);
        for step in 0..steps {
            if pending.len() == in_flight {
                loss = until_done(&pending.pop_front().ok_or("no step")?)?;
            }
            let mut slot = self.ring.acquire()?;
            slot.slice_mut::<f32>(0)?.copy_from_slice(&self.input);
            slot.slice_mut::<i32>(1)?.copy_from_slice(&self.target);
            let staged = slot.freeze();
            // A learning rate that changes at each step.
            self.bench.scalars.set("lr", 0.01 / (1.0 + 0.01 * step as f32));
            let before = ALLOCATIONS.get();
            let feeds = Feeds { staged: Some(&staged), ..Feeds::new(staged.tensors()) };
            pending.push_back(self.bench.step.submit(feeds, &self.bench.scalars)?);
            heap += ALLOCATIONS.get() - before;
            self.bench.scalars.step += 1;
        }
        for ticket in pending {
            loss = until_done(&ticket)?;
        }
        Ok((heap, loss))
    }

    fn statistics(&self) -> Result<Statistics> {
        Ok(self.bench.executor.device().statistics()?)
    }
}

/// Counts of `STEPS` steps after a few others.
fn steady(options: &MetalOptions) -> Result<(Training, Statistics, u64)> {
    let mut training = Training::new(options)?;
    // One less than there are places: a place is free a moment after its ticket has arrived.
    let in_flight = options.in_flight as usize - 1;
    let (_, first) = training.run(in_flight, 5)?;
    let (before, counters) = (training.statistics()?, training.bench.executor.counters());
    let (heap, last) = training.run(in_flight, STEPS)?;
    let done = since(training.statistics()?, before);
    assert!(last < first - 0.1, "the steps learn: {first} to {last}");
    let counted = training.bench.executor.counters() - counters;
    let wanted = StepCounters { native_calls: STEPS, allocations: 0, host_syncs: 0 };
    assert_eq!(counted, wanted, "{options:?}");
    Ok((training, done, heap))
}

fn since(now: Statistics, then: Statistics) -> Statistics {
    Statistics {
        native_calls: now.native_calls - then.native_calls,
        command_buffers: now.command_buffers - then.command_buffers,
        encodes: now.encodes - then.encodes,
        waits: now.waits - then.waits,
        host_copies: now.host_copies - then.host_copies,
        metal_allocations: now.metal_allocations - then.metal_allocations,
        compilations: now.compilations - then.compilations,
        in_flight: 0,
        in_flight_peak: now.in_flight_peak,
    }
}

#[test]
fn a_step_is_one_call_one_command_buffer_and_one_encode() -> Result<()> {
    let options = on(ConvolutionPath::Graph);
    let (training, done, heap) = steady(&options)?;
    println!("{STEPS} steps: {done:?}, {heap} heap allocations of the submitting thread");
    assert!(done.in_flight_peak <= u64::from(options.in_flight));
    let wanted = Statistics {
        native_calls: STEPS,
        command_buffers: STEPS,
        encodes: STEPS,
        in_flight_peak: done.in_flight_peak,
        ..Statistics::default()
    };
    assert_eq!(done, wanted);
    assert_eq!(heap, 0, "heap allocations of the submitting thread");
    drop(training);
    Ok(())
}

#[test]
fn the_hybrid_path_is_one_call_and_one_command_buffer_too() -> Result<()> {
    let (training, done, heap) = steady(&on(ConvolutionPath::Hybrid))?;
    println!("{STEPS} hybrid steps: {done:?}, {heap} heap allocations of the submitting thread");
    assert!(training.bench.step.dump().contains(" 2 convolutions outside the graph"));
    assert_eq!((done.native_calls, done.command_buffers), (STEPS, STEPS));
    assert_eq!((done.waits, done.host_copies, done.metal_allocations), (0, 0, 0));
    assert_eq!((done.compilations, heap), (0, 0));
    Ok(())
}

#[test]
fn a_long_step_is_split() -> Result<()> {
    let options = MetalOptions { flops_per_command_buffer: 1, ..MetalOptions::default() };
    let (_training, done, _) = steady(&options)?;
    assert!(done.command_buffers > STEPS, "{done:?}");
    assert_eq!((done.native_calls, done.encodes / STEPS), (STEPS, done.encodes.div_ceil(STEPS)));
    Ok(())
}

#[test]
fn a_full_queue_holds_the_caller_back() -> Result<()> {
    let options = MetalOptions { in_flight: 2, ..MetalOptions::default() };
    let mut training = Training::new(&options)?;
    #[cfg(feature = "headless")]
    support::headless::set_delay(2000);
    let (_, loss) = training.run(4, 20)?;
    #[cfg(feature = "headless")]
    support::headless::set_delay(0);
    assert!(loss.is_finite());
    assert!(training.statistics()?.in_flight_peak <= 2);
    Ok(())
}
