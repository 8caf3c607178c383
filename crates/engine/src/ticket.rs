//! Tickets: how the scalars of a step come back without a wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::EngineError;

/// The most scalars that a step can report.
pub const MAX_REPORTS: usize = 16;

/// The scalars of a finished step: the loss, then the program's reports, then the update's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reports {
    values: [f32; MAX_REPORTS],
    count: usize,
}

impl Reports {
    /// Reports from their values; those beyond [`MAX_REPORTS`] are refused when a program is
    /// compiled and ignored here.
    pub fn new(values: &[f32]) -> Self {
        let mut reports = Reports::default();
        for &value in values.iter().take(MAX_REPORTS) {
            reports.values[reports.count] = value;
            reports.count += 1;
        }
        reports
    }

    /// The loss, where the program has one.
    pub fn loss(&self) -> Option<f32> {
        self.values().first().copied()
    }

    /// All of them in order.
    pub fn values(&self) -> &[f32] {
        &self.values[..self.count]
    }
}

#[derive(Clone, Debug)]
enum State {
    Pending,
    Done(Result<Reports, EngineError>),
}

#[derive(Debug)]
struct Slot {
    /// The ticket that owns the slot.
    serial: u64,
    state: State,
}

/// The tickets of one executor: a ring of slots that steps complete in any order. No slot is
/// allocated after construction.
#[derive(Debug)]
pub struct TicketRing {
    slots: Mutex<Vec<Slot>>,
    changed: Condvar,
    waits: AtomicU64,
}

impl TicketRing {
    /// A ring that remembers the results of the last `capacity` steps.
    pub fn new(capacity: usize) -> Arc<Self> {
        let idle = || Slot { serial: u64::MAX, state: State::Done(Ok(Reports::default())) };
        let slots = (0..capacity.max(1)).map(|_| idle()).collect();
        let (changed, waits) = (Condvar::new(), AtomicU64::new(0));
        Arc::new(TicketRing { slots: Mutex::new(slots), changed, waits })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        // A panic while the lock is held cannot leave a slot half written.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for step `serial`; serials count up from 0. Waits while the slot is still held by
    /// a step in flight: that bounds the number of steps in flight to the ring's capacity.
    pub fn issue(self: &Arc<Self>, serial: u64) -> Ticket {
        let mut slots = self.lock();
        let index = (serial % slots.len() as u64) as usize;
        while matches!(slots[index].state, State::Pending) {
            self.waits.fetch_add(1, Ordering::Relaxed);
            slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
        }
        slots[index] = Slot { serial, state: State::Pending };
        Ticket { ring: Arc::clone(self), serial }
    }

    /// Records the result of step `serial` and wakes those who wait for it.
    pub fn complete(&self, serial: u64, result: Result<Reports, EngineError>) {
        let mut slots = self.lock();
        let index = (serial % slots.len() as u64) as usize;
        if slots[index].serial == serial {
            slots[index].state = State::Done(result);
            self.changed.notify_all();
        }
    }

    /// How often a caller had to wait for a step.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}

/// A claim on the scalars of one step.
#[derive(Clone, Debug)]
pub struct Ticket {
    ring: Arc<TicketRing>,
    serial: u64,
}

impl Ticket {
    /// The number of the step on its executor, from 0.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The scalars if the step is done; never waits.
    ///
    /// # Errors
    /// The step failed, or so many later steps were submitted that its result is gone.
    pub fn poll(&self) -> Result<Option<Reports>, EngineError> {
        let slots = self.ring.lock();
        self.look(&slots)
    }

    /// Waits for the step and gives its scalars.
    ///
    /// # Errors
    /// As [`Ticket::poll`].
    pub fn wait(&self) -> Result<Reports, EngineError> {
        let mut slots = self.ring.lock();
        loop {
            if let Some(reports) = self.look(&slots)? {
                return Ok(reports);
            }
            self.ring.waits.fetch_add(1, Ordering::Relaxed);
            slots = self.ring.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn look(&self, slots: &[Slot]) -> Result<Option<Reports>, EngineError> {
        let slot = &slots[(self.serial % slots.len() as u64) as usize];
        if slot.serial != self.serial {
            return Err(EngineError::TicketExpired { step: self.serial, kept: slots.len() });
        }
        match &slot.state {
            State::Pending => Ok(None),
            State::Done(result) => result.clone().map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_arrives_and_expires() {
        let ring = TicketRing::new(2);
        let first = ring.issue(0);
        assert_eq!(first.poll().unwrap(), None);
        ring.complete(0, Ok(Reports::new(&[0.5, 2.0])));
        assert_eq!(first.poll().unwrap().unwrap().loss(), Some(0.5));
        assert_eq!(first.wait().unwrap().values(), [0.5, 2.0]);
        assert_eq!(ring.waits(), 0, "nothing had to wait");
        ring.issue(1);
        ring.issue(2);
        let error = first.poll().unwrap_err();
        assert!(matches!(error, EngineError::TicketExpired { step: 0, kept: 2 }), "{error}");
    }

    #[test]
    fn a_waiter_is_woken_from_another_thread() {
        let ring = TicketRing::new(1);
        let ticket = ring.issue(0);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| ticket.wait());
            ring.complete(0, Ok(Reports::new(&[3.0])));
            assert_eq!(waiter.join().unwrap().unwrap().loss(), Some(3.0));
        });
    }

    #[test]
    fn a_failed_step_gives_its_error() {
        let ring = TicketRing::new(1);
        let ticket = ring.issue(0);
        ring.complete(0, Err(EngineError::Poisoned { reason: "device lost".into() }));
        assert!(ticket.wait().unwrap_err().to_string().contains("device lost"));
    }
}
