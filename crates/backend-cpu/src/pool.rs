//! A fork-join pool: the caller and its workers share the tasks of one job at a time.
//!
//! Tasks are numbered. Each thread begins with a share of neighbours, the same one in every job of
//! as many tasks: what a kernel writes is then read by the same core in the next. Who is done with
//! its share takes tasks of others, so results must depend on a task's number alone and not on its
//! worker. Starting a job allocates nothing and takes no lock; a worker that is late to wake finds
//! the job closed and is not waited for.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

use crate::error::CpuError;
use crate::subnormal::FlushSubnormals;

/// The tasks of a thread's share that nobody has claimed: from the next to the end. On a cache line
/// of its own.
#[repr(align(64))]
struct Share {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Share {
    fn claim(&self) -> Option<usize> {
        let task = self.next.fetch_add(1, Ordering::Relaxed);
        (task < self.end.load(Ordering::Relaxed)).then_some(task)
    }
}

/// How often an idle worker looks for a job before it sleeps: some tens of microseconds.
const SPINS: u32 = 10_000;

/// The lowest bits of the state count the workers inside the job.
const INSIDE: u64 = 0x7fff;
/// This bit says that workers may enter.
const OPEN: u64 = 0x8000;
/// The bits above count the jobs.
const NEXT_JOB: u64 = 0x1_0000;

/// A task's number, and the worker that runs it: 0 is the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) task: usize,
    pub(crate) worker: usize,
}

/// A job as the workers see it: a closure of the caller's stack.
#[derive(Clone, Copy)]
struct Job {
    closure: *const (),
    run: unsafe fn(*const (), Turn),
}

unsafe fn nothing(_: *const (), _: Turn) {}

struct Shared {
    state: AtomicU64,
    job: UnsafeCell<Job>,
    /// One for each thread.
    shares: Box<[Share]>,
    panicked: AtomicBool,
    stop: AtomicBool,
    /// Workers that have begun to look for jobs.
    started: AtomicUsize,
    asleep: Box<[AtomicBool]>,
}

// SAFETY: `job` is written only while the state is closed and no worker is inside, and read only
// by workers inside; entering and leaving synchronise through `state`.
unsafe impl Sync for Shared {}
// SAFETY: the closure behind `job` is `Sync`, so any thread may call it.
unsafe impl Send for Shared {}

impl Shared {
    /// Deals out the tasks of a job that nobody has entered yet: to no more threads than there are
    /// tasks.
    fn deal(&self, tasks: usize) {
        let sharers = tasks.clamp(1, self.shares.len());
        for (index, share) in self.shares.iter().enumerate() {
            let bound = |i: usize| tasks * i.min(sharers) / sharers;
            share.next.store(bound(index), Ordering::Relaxed);
            share.end.store(bound(index + 1), Ordering::Relaxed);
        }
    }

    /// Claims and runs tasks until none is left: its own first, then those of the threads behind it.
    fn work(&self, job: Job, worker: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let (before, from_own) = self.shares.split_at(worker);
            for share in from_own.iter().chain(before) {
                while let Some(task) = share.claim() {
                    // SAFETY: the job is not over while a worker is inside, so the closure lives.
                    unsafe { (job.run)(job.closure, Turn { task, worker }) };
                }
            }
        }));
        if result.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
            // What is left of a failed job need not be done.
            self.shares.iter().for_each(|share| share.end.store(0, Ordering::Relaxed));
        }
    }

    /// Enters a job that is open and not the one `seen` before.
    fn enter(&self, seen: &mut u64) -> Option<Job> {
        let state = self.state.load(Ordering::Acquire);
        let number = state / NEXT_JOB;
        if state & OPEN == 0 || number == *seen {
            return None;
        }
        let entered =
            self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed);
        entered.ok()?;
        *seen = number;
        // SAFETY: this worker is inside, so the job is not written.
        Some(unsafe { *self.job.get() })
    }

    /// Tells the thread that makes the pool that a worker runs.
    fn start(&self, caller: Thread) {
        self.started.fetch_add(1, Ordering::Release);
        caller.unpark();
    }

    fn worker(&self, worker: usize) {
        let _flush = FlushSubnormals::new();
        let (mut seen, mut idle) = (0, 0);
        while !self.stop.load(Ordering::Acquire) {
            if let Some(job) = self.enter(&mut seen) {
                self.work(job, worker);
                self.state.fetch_sub(1, Ordering::Release);
                idle = 0;
            } else if idle < SPINS {
                idle += 1;
                std::hint::spin_loop();
            } else {
                self.sleep(worker, seen);
                idle = 0;
            }
        }
    }

    /// Parks until a job or the end comes. The flag is raised before the last look, and the caller
    /// looks at the flag after it has opened a job: one of them sees the other.
    fn sleep(&self, worker: usize, seen: u64) {
        let flag = &self.asleep[worker - 1];
        flag.store(true, Ordering::SeqCst);
        let state = self.state.load(Ordering::SeqCst);
        let wanted = state & OPEN != 0 && state / NEXT_JOB != seen;
        if !wanted && !self.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        flag.store(false, Ordering::SeqCst);
    }
}

/// A task of a job panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskPanicked;

/// The caller and its workers.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    sleepers: Vec<Thread>,
}

impl Pool {
    /// A pool of `threads` threads in all: the caller is one of them. Returns when all of them run: a
    /// thread allocates memory as it starts, which is no part of a step.
    pub(crate) fn new(threads: usize) -> Result<Pool, CpuError> {
        let workers = threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(Job { closure: std::ptr::null(), run: nothing }),
            shares: (0..workers + 1)
                .map(|_| Share { next: AtomicUsize::new(0), end: AtomicUsize::new(0) })
                .collect(),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            started: AtomicUsize::new(0),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut pool = Pool { shared, handles: Vec::new(), sleepers: Vec::new() };
        for worker in 1..=workers {
            let (shared, caller) = (Arc::clone(&pool.shared), std::thread::current());
            let handle = std::thread::Builder::new()
                .name(format!("onestep-cpu-{worker}"))
                .spawn(move || {
                    shared.start(caller);
                    shared.worker(worker);
                })
                .map_err(|e| CpuError::Spawn { worker, reason: e.to_string() })?;
            pool.sleepers.push(handle.thread().clone());
            pool.handles.push(handle);
        }
        while pool.shared.started.load(Ordering::Acquire) < workers {
            std::thread::park();
        }
        Ok(pool)
    }

    /// Threads in all.
    pub(crate) fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Runs `f` once for each task in `0..tasks` and returns when all are done.
    pub(crate) fn run<F: Fn(Turn) + Sync>(
        &mut self,
        tasks: usize,
        f: &F,
    ) -> Result<(), TaskPanicked> {
        unsafe fn call<F: Fn(Turn) + Sync>(closure: *const (), turn: Turn) {
            // SAFETY: `closure` is the `f` of the job, which outlives it.
            unsafe { (*closure.cast::<F>())(turn) }
        }
        let job = Job { closure: std::ptr::from_ref(f).cast(), run: call::<F> };
        self.shared.deal(tasks);
        if tasks > 1 && !self.handles.is_empty() {
            self.share(job, tasks);
        } else {
            self.shared.work(job, 0);
        }
        if self.shared.panicked.swap(false, Ordering::Relaxed) {
            return Err(TaskPanicked);
        }
        Ok(())
    }

    /// Runs a job together with the workers.
    fn share(&mut self, job: Job, tasks: usize) {
        let shared = &*self.shared;
        // SAFETY: the state is closed and nobody is inside: `&mut self` and the wait below.
        unsafe { *shared.job.get() = job };
        let state = shared.state.load(Ordering::Relaxed);
        let number = (state / NEXT_JOB).wrapping_add(1);
        shared.state.store(number.wrapping_mul(NEXT_JOB) | OPEN, Ordering::SeqCst);
        let wanted = (tasks - 1).min(self.sleepers.len());
        for (thread, asleep) in self.sleepers.iter().zip(&shared.asleep).take(wanted) {
            if asleep.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        shared.work(job, 0);
        shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0u32;
        while shared.state.load(Ordering::Acquire) & INSIDE != 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A worker catches the panics of its tasks, so there is nothing to report.
            let _ = handle.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Fails instead of hanging.
    fn within_a_minute(test: impl FnOnce() + Send + 'static) {
        let (done, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            test();
            done.send(()).ok();
        });
        match wait.recv_timeout(Duration::from_secs(60)) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the pool hangs"),
            _ => thread.join().unwrap(),
        }
    }

    #[test]
    fn each_task_runs_once() {
        within_a_minute(|| {
            for threads in [1, 2, 3, 7] {
                let mut pool = Pool::new(threads).unwrap();
                for round in 0..500 {
                    let tasks = round % 23;
                    let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                    pool.run(tasks, &|turn: Turn| {
                        assert!(turn.worker < threads);
                        runs[turn.task].fetch_add(1, Ordering::Relaxed);
                    })
                    .unwrap();
                    assert!(runs.iter().all(|n| n.load(Ordering::Relaxed) == 1));
                    if round % 100 == 0 {
                        // Long enough for the workers to fall asleep.
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
    }

    #[test]
    fn a_thread_begins_with_its_share_and_goes_on_with_those_behind() {
        unsafe fn note(tasks: *const (), turn: Turn) {
            // SAFETY: the vector of the test, which nobody else uses meanwhile.
            unsafe {
                (*tasks.cast::<std::cell::RefCell<Vec<usize>>>()).borrow_mut().push(turn.task)
            }
        }
        let pool = Pool::new(3).unwrap();
        for (tasks, worker, expected) in [
            (10, 0, vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (10, 1, vec![3, 4, 5, 6, 7, 8, 9, 0, 1, 2]),
            (10, 2, vec![6, 7, 8, 9, 0, 1, 2, 3, 4, 5]),
            // No more shares than tasks.
            (2, 1, vec![1, 0]),
            (2, 2, vec![0, 1]),
            (0, 1, vec![]),
        ] {
            let done: std::cell::RefCell<Vec<usize>> = std::cell::RefCell::default();
            pool.shared.deal(tasks);
            pool.shared.work(Job { closure: (&raw const done).cast(), run: note }, worker);
            assert_eq!(done.into_inner(), expected, "{tasks} tasks, worker {worker}");
        }
    }

    #[test]
    fn a_panic_is_reported_and_the_pool_goes_on() {
        within_a_minute(|| {
            let mut pool = Pool::new(3).unwrap();
            for bad in 0..20 {
                let result = pool.run(20, &|turn: Turn| {
                    // No message: the panic is part of the test.
                    if turn.task == bad {
                        std::panic::resume_unwind(Box::new(()));
                    }
                });
                assert_eq!(result, Err(TaskPanicked));
                assert_eq!(pool.run(20, &|_| {}), Ok(()));
            }
        });
    }

    #[test]
    fn dropping_ends_the_threads() {
        within_a_minute(|| {
            for _ in 0..50 {
                let mut pool = Pool::new(4).unwrap();
                pool.run(8, &|_| {}).unwrap();
                let shared = Arc::downgrade(&pool.shared);
                drop(pool);
                assert!(shared.upgrade().is_none(), "no thread holds the pool any more");
            }
        });
    }
}
