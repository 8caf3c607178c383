//! Steps in flight: what they use is kept until the device is done with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onestep_memory::{Staged, Tensor};

use crate::error::EngineError;
use crate::executor::Feeds;
use crate::poison::{Poison, lock};
use crate::ticket::{Reports, Ticket, TicketRing};

/// What a step in flight holds.
#[derive(Debug, Default)]
struct Cargo {
    tensors: Vec<Tensor>,
    staged: Option<Staged>,
    /// The state buffers that the step writes.
    state: Arc<[u64]>,
}

/// The steps in flight of one asynchronous executor, and their tickets. Nothing is allocated while
/// steps come and go: each has a slot that was made beforehand.
///
/// ```
/// use std::sync::Arc;
/// use onestep_engine::{Feeds, Flight, Poison, Reports};
///
/// let poison = Arc::new(Poison::default());
/// let flight = Flight::new(&poison, 4);
/// let (serial, ticket) = flight.begin(Feeds::new(&[]), &Arc::from([1]));
/// assert_eq!(ticket.poll()?, None);
/// flight.end(serial, Ok(Reports::new(&[0.5])));
/// assert_eq!(ticket.wait()?.loss(), Some(0.5));
/// # Ok::<(), onestep_engine::EngineError>(())
/// ```
#[derive(Debug)]
pub struct Flight {
    ring: Arc<TicketRing>,
    cargo: Mutex<Vec<Cargo>>,
    next: AtomicU64,
    /// Not the device itself: its queue must not be released by the thread that ends steps.
    poison: Arc<Poison>,
}

impl Flight {
    /// Room for `places` steps in flight, at least one, whose results are remembered as long as no
    /// later step takes their place.
    pub fn new(poison: &Arc<Poison>, places: usize) -> Self {
        let places = places.max(1);
        Flight {
            ring: TicketRing::new(places),
            cargo: Mutex::new((0..places).map(|_| Cargo::default()).collect()),
            next: AtomicU64::new(0),
            poison: Arc::clone(poison),
        }
    }

    /// Makes room for steps of so many feeds.
    pub fn reserve(&self, feeds: usize) {
        for cargo in &mut *lock(&self.cargo) {
            cargo.tensors.reserve(feeds);
        }
    }

    /// Gives the next step its number and ticket and holds what it uses. `state` are the handles of
    /// the state buffers that it writes. Waits where all places are taken.
    pub fn begin(&self, feeds: Feeds<'_>, state: &Arc<[u64]>) -> (u64, Ticket) {
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        let ticket = self.ring.issue(serial);
        let mut all = lock(&self.cargo);
        let place = place(serial, all.len());
        let cargo = &mut all[place];
        cargo.tensors.extend(feeds.tensors.iter().cloned());
        cargo.staged = feeds.staged.cloned();
        cargo.state = Arc::clone(state);
        (serial, ticket)
    }

    /// The step is over: lets go of what it used, and then tells its ticket.
    pub fn end(&self, serial: u64, result: Result<Reports, EngineError>) {
        self.unload(serial);
        self.ring.complete(serial, result);
    }

    /// The step failed on the device: the state that it would have written is poisoned. The error is
    /// its ticket's, where it wrote any.
    pub fn poison(&self, serial: u64, reason: &str) -> Option<EngineError> {
        let state = {
            let all = lock(&self.cargo);
            Arc::clone(&all[place(serial, all.len())].state)
        };
        if state.is_empty() {
            return None;
        }
        self.poison.set(reason, &state);
        Some(EngineError::Poisoned { reason: reason.to_owned() })
    }

    fn unload(&self, serial: u64) {
        let mut all = lock(&self.cargo);
        let place = place(serial, all.len());
        let cargo = &mut all[place];
        // A slot of the staging ring is free once its last reader is gone, and then nobody may hold
        // its tensors: they go first.
        cargo.tensors.clear();
        cargo.staged = None;
    }

    /// How often a caller waited for a ticket.
    pub fn waits(&self) -> u64 {
        self.ring.waits()
    }
}

fn place(serial: u64, places: usize) -> usize {
    (serial % places as u64) as usize
}

#[cfg(test)]
mod tests {
    use onestep_memory::{DType, MemoryManager};

    use super::*;
    use crate::poison::Health;

    #[test]
    fn a_step_holds_its_feeds_until_it_is_over() {
        let memory = MemoryManager::host();
        let flight = Flight::new(&Arc::new(Poison::default()), 2);
        flight.reserve(1);
        let feed = memory.zeros([1000], DType::F32).unwrap();
        let live = || memory.statistics().total.live;
        let before = live();
        let (serial, ticket) = flight.begin(Feeds::new(&[feed]), &Arc::default());
        assert_eq!(live(), before, "the caller's handle is gone, the step's is not");
        flight.end(serial, Ok(Reports::new(&[2.0])));
        assert!(live() < before);
        assert_eq!(ticket.wait().unwrap().loss(), Some(2.0));
    }

    #[test]
    fn only_a_step_that_writes_state_poisons_it() {
        let poison = Arc::new(Poison::default());
        let flight = Flight::new(&poison, 2);
        let (reads, _) = flight.begin(Feeds::new(&[]), &Arc::default());
        assert!(flight.poison(reads, "lost").is_none());
        assert_eq!(poison.state(), Health::Good);
        let (writes, ticket) = flight.begin(Feeds::new(&[]), &Arc::from([3]));
        let error = flight.poison(writes, "lost").unwrap();
        flight.end(writes, Err(error));
        assert!(ticket.wait().unwrap_err().to_string().contains("lost"));
        assert_eq!(poison.state(), Health::Damaged("lost".into()));
        poison.restored(3);
        assert_eq!(poison.state(), Health::Restored);
    }
}
