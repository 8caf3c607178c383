//! The threads behind a loader.
//!
//! A dispatcher pairs free staging slots with batches, in the order of the batches, and hands the
//! pairs to the workers. Because a batch is given out only together with a slot, and slots are given
//! out in batch order, the batch that the consumer waits for always has a slot already: the ring may
//! be full, but never with later batches only, so nothing can deadlock. Results come back in any
//! order and wait in `ready` for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender, bounded, unbounded};
use onestep_memory::{Staged, StagingPool, StagingSlot};

use super::fill::Filler;
use super::order::EpochPlan;
use crate::DataError;

/// A batch to fill, and the slot to fill.
struct Job {
    plan: Arc<EpochPlan>,
    batch: usize,
    slot: StagingSlot,
}

/// A batch that has been tried.
struct Done {
    run: u64,
    batch: usize,
    outcome: Outcome,
}

enum Outcome {
    Filled(Staged),
    /// The slot stays taken until the consumer has the error, so that never more batches are under
    /// way than there are slots.
    Failed(DataError, StagingSlot),
}

/// The consumer's side of the threads.
pub(crate) struct Workers {
    name: String,
    pool: Arc<StagingPool>,
    /// `None` once the loader is being dropped.
    plans: Option<Sender<Arc<EpochPlan>>>,
    results: Receiver<Done>,
    /// Outcomes that came before their turn; batch b is at b modulo the number of slots, and no two
    /// can meet because at most that many consecutive batches have a slot.
    ready: Vec<Option<Outcome>>,
    /// Batches that were given out and have not come back.
    under_way: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
    current: Option<Arc<EpochPlan>>,
}

impl Workers {
    pub(crate) fn start(
        filler: &Arc<Filler>,
        pool: &Arc<StagingPool>,
        workers: usize,
        batch_size: usize,
    ) -> Result<Self, DataError> {
        let slots = pool.statistics().slots;
        let (plan_sender, plans) = unbounded();
        let (job_sender, jobs) = bounded(slots);
        // Each result belongs to a slot, so sending one never blocks.
        let (result_sender, results) = bounded(slots);
        let (settled_sender, settled) = bounded(workers + 1);
        let mut this = Self {
            name: filler.name.clone(),
            pool: pool.clone(),
            plans: Some(plan_sender),
            results,
            ready: (0..slots).map(|_| None).collect(),
            under_way: Arc::new(AtomicUsize::new(0)),
            threads: Vec::with_capacity(workers + 1),
            current: None,
        };
        let (pool, under_way) = (pool.clone(), this.under_way.clone());
        let dispatcher = Dispatcher { pool, plans, jobs: job_sender, under_way };
        let on_settled = settled_sender.clone();
        this.spawn("onestep-data".to_owned(), move || dispatcher.run(&on_settled))?;
        for number in 0..workers {
            let worker = Worker {
                filler: filler.clone(),
                jobs: jobs.clone(),
                results: result_sender.clone(),
                under_way: this.under_way.clone(),
            };
            let on_settled = settled_sender.clone();
            let body = move || worker.run(batch_size, &on_settled);
            this.spawn(format!("onestep-data-{number}"), body)?;
        }
        drop(settled_sender);
        this.settle(workers + 1, &settled)?;
        Ok(this)
    }

    /// Waits until all threads have taken the memory they will need.
    fn settle(&self, threads: usize, settled: &Receiver<()>) -> Result<(), DataError> {
        wait_once(&self.results);
        (0..threads).try_for_each(|_| settled.recv().map_err(|_| self.ended()))
    }

    /// Starts a thread; where that fails, dropping `self` ends those before.
    fn spawn(
        &mut self,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<(), DataError> {
        let dataset = self.name.clone();
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(|source| DataError::Thread { dataset, source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Starts an epoch, in place of the one before.
    pub(crate) fn begin(&mut self, plan: &Arc<EpochPlan>) {
        self.cancel();
        self.current = Some(plan.clone());
        if let Some(plans) = &self.plans {
            // Fails only if the dispatcher has ended, which `next` reports.
            let _ = plans.send(plan.clone());
        }
    }

    /// Ends the current epoch and lets go of what it has left, and with it of the slots.
    pub(crate) fn cancel(&mut self) {
        if let Some(plan) = self.current.take() {
            plan.cancel();
        }
        self.ready.fill_with(|| None);
        while let Ok(stale) = self.results.try_recv() {
            self.came_back();
            drop(stale);
        }
    }

    fn came_back(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits for one batch of the current epoch.
    pub(crate) fn next(
        &mut self,
        plan: &EpochPlan,
        batch: usize,
        patience: Duration,
    ) -> Result<Staged, DataError> {
        let place = batch % self.ready.len();
        let start = Instant::now();
        loop {
            if let Some(outcome) = self.ready[place].take() {
                return match outcome {
                    Outcome::Filled(staged) => Ok(staged),
                    Outcome::Failed(error, _slot) => Err(error),
                };
            }
            match self.results.recv_timeout(patience) {
                Ok(done) => {
                    self.came_back();
                    if done.run == plan.run {
                        let place = done.batch % self.ready.len();
                        self.ready[place] = Some(done.outcome);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.check_progress(start)?,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Whether to go on waiting. A reader may take its time, and so may a thread that the system does not
    /// run; but when the dispatcher waits for a slot and no batch is under way, it is for the caller to
    /// give one back.
    fn check_progress(&self, start: Instant) -> Result<(), DataError> {
        if self.threads.iter().any(JoinHandle::is_finished) {
            return Err(self.ended());
        }
        // In this order: what is under way is counted behind the dispatcher's wait.
        let starved = self.pool.statistics().waiting > 0;
        if !starved || self.under_way.load(Ordering::Acquire) > 0 {
            return Ok(());
        }
        let (dataset, slots, waited) = (self.name.clone(), self.ready.len(), start.elapsed());
        Err(DataError::Stalled { dataset, slots, waited })
    }

    fn ended(&self) -> DataError {
        DataError::WorkersEnded { dataset: self.name.clone() }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Each thread waits for a slot, a plan, a job or a sample; closing the ring and the first
        // channel ends the dispatcher, and its end closes the channel of the workers.
        self.pool.close();
        self.plans = None;
        self.cancel();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("loader of {}: a thread panicked", self.name);
            }
        }
    }
}

/// Waits for a moment at a channel that is empty.
///
/// A thread's first wait allocates what its later waits use again, and so does a channel's first
/// waiter. Done while the loader is built (nothing is sent before all have settled), it leaves
/// nothing to allocate for the steps.
fn wait_once<T>(channel: &Receiver<T>) {
    // A selection registers the thread whatever time it has; a plain wait looks for messages first, and
    // on a busy machine its time may be over before it has done more.
    let mut select = Select::new();
    select.recv(channel);
    // Ready only where the other side is gone, since starting another thread has failed.
    if let Ok(ready) = select.select_timeout(Duration::ZERO) {
        let _ = ready.recv(channel);
    }
}

struct Dispatcher {
    pool: Arc<StagingPool>,
    plans: Receiver<Arc<EpochPlan>>,
    jobs: Sender<Job>,
    under_way: Arc<AtomicUsize>,
}

impl Dispatcher {
    /// Takes a slot first and asks what to fill then: so an epoch that was given up while this
    /// waited for a slot needs no wake-up of its own.
    fn run(self, settled: &Sender<()>) {
        wait_once(&self.plans);
        // Nobody listens any more if starting another thread has failed.
        let _ = settled.send(());
        let mut current = None;
        while let Ok(slot) = self.pool.acquire() {
            let Some((plan, batch)) = self.next_batch(&mut current) else { return };
            self.under_way.fetch_add(1, Ordering::AcqRel);
            if self.jobs.send(Job { plan, batch, slot }).is_err() {
                return;
            }
        }
    }

    /// The next batch of the current epoch, or the first of the next one; `None` at the end.
    fn next_batch(
        &self,
        current: &mut Option<(Arc<EpochPlan>, usize)>,
    ) -> Option<(Arc<EpochPlan>, usize)> {
        loop {
            match current {
                Some((plan, next)) if *next < plan.batches() && !plan.is_cancelled() => {
                    *next += 1;
                    return Some((plan.clone(), *next - 1));
                }
                _ => {
                    // The old plan is let go of before the wait.
                    *current = None;
                    let plan = self.plans.recv().ok()?;
                    let first = plan.first_batch;
                    *current = Some((plan, first));
                }
            }
        }
    }
}

struct Worker {
    filler: Arc<Filler>,
    jobs: Receiver<Job>,
    results: Sender<Done>,
    under_way: Arc<AtomicUsize>,
}

impl Worker {
    fn run(self, batch_size: usize, settled: &Sender<()>) {
        let mut scratch = self.filler.scratch(batch_size);
        wait_once(&self.jobs);
        let _ = settled.send(());
        for Job { plan, batch, mut slot } in &self.jobs {
            let outcome = match self.filler.fill(&plan, batch, &mut slot, &mut scratch) {
                Ok(true) => Outcome::Filled(slot.freeze()),
                Ok(false) => {
                    drop(slot);
                    self.under_way.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                Err(error) => Outcome::Failed(error, slot),
            };
            if self.results.send(Done { run: plan.run, batch, outcome }).is_err() {
                return;
            }
        }
    }
}
