//! Steps in flight: what they use is kept until the device is done with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use onestep_engine::{EngineError, Feeds, Reports, Ticket, TicketRing};
use onestep_memory::{Staged, Tensor};
use onestep_metal_sys::{Complete, MetalError};

use crate::error::unsupported;
use crate::poison::Poison;
use crate::sync::lock;

/// Results of so many steps are remembered, and so many can be in flight at most.
const REMEMBERED: usize = 64;

/// What a step in flight holds.
#[derive(Debug, Default)]
struct Cargo {
    tensors: Vec<Tensor>,
    staged: Option<Staged>,
    /// The state buffers that the step writes.
    state: Arc<[u64]>,
}

/// The steps in flight of one executor, and their tickets. Nothing is allocated while steps come
/// and go: each has a slot that was made beforehand.
#[derive(Debug)]
pub(crate) struct Flight {
    ring: Arc<TicketRing>,
    cargo: Mutex<Vec<Cargo>>,
    next: AtomicU64,
    /// Not the device itself: its queue must not be released by the thread that ends steps.
    poison: Arc<Poison>,
}

impl Flight {
    pub(crate) fn new(poison: &Arc<Poison>) -> Arc<Self> {
        Arc::new(Flight {
            ring: TicketRing::new(REMEMBERED),
            cargo: Mutex::new((0..REMEMBERED).map(|_| Cargo::default()).collect()),
            next: AtomicU64::new(0),
            poison: Arc::clone(poison),
        })
    }

    /// Makes room for steps of so many feeds.
    pub(crate) fn reserve(&self, feeds: usize) {
        for cargo in &mut *lock(&self.cargo) {
            cargo.tensors.reserve(feeds);
        }
    }

    /// Gives the next step its number and ticket and holds what it uses. Waits where as many steps
    /// as are remembered are in flight.
    pub(crate) fn begin(&self, feeds: Feeds<'_>, state: &Arc<[u64]>) -> (u64, Ticket) {
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        let ticket = self.ring.issue(serial);
        let cargo = &mut lock(&self.cargo)[slot(serial)];
        cargo.tensors.extend(feeds.tensors.iter().cloned());
        cargo.staged = feeds.staged.cloned();
        cargo.state = Arc::clone(state);
        (serial, ticket)
    }

    /// The step is over: lets go of what it used, and then tells its ticket.
    pub(crate) fn end(&self, serial: u64, result: Result<Reports, EngineError>) {
        self.unload(serial);
        self.ring.complete(serial, result);
    }

    fn unload(&self, serial: u64) {
        let cargo = &mut lock(&self.cargo)[slot(serial)];
        // A slot of the staging ring is free once its last reader is gone, and then nobody may hold
        // its tensors: they go first.
        cargo.tensors.clear();
        cargo.staged = None;
    }

    /// How often a caller waited for a ticket.
    pub(crate) fn waits(&self) -> u64 {
        self.ring.waits()
    }

    fn failed(&self, serial: u64, error: &MetalError) -> EngineError {
        let (reason, state) =
            (error.to_string(), Arc::clone(&lock(&self.cargo)[slot(serial)].state));
        if state.is_empty() {
            return unsupported("the step", reason);
        }
        self.poison.set(&reason, &state);
        EngineError::Poisoned { reason }
    }
}

fn slot(serial: u64) -> usize {
    (serial % REMEMBERED as u64) as usize
}

impl Complete for Flight {
    fn complete(&self, serial: u64, result: Result<&[f32], MetalError>) {
        let result = match result {
            Ok(values) => Ok(Reports::new(values)),
            Err(error) => Err(self.failed(serial, &error)),
        };
        self.end(serial, result);
    }
}
