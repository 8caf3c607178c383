//! What a failed step leaves behind: state that nobody can trust until it is written again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whether or not a thread panicked while it held the lock: no critical section here leaves
/// its data half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For executors whose steps fail after they were submitted. A training step that fails on the
/// device has left its state in the middle of an update; all further steps are to be refused until
/// every buffer of that state was written by the host, as a checkpoint's restoration does.
#[derive(Debug, Default)]
pub struct Poison {
    /// Whether there is anything, so that a good step takes no lock.
    set: AtomicBool,
    damage: Mutex<Option<Damage>>,
}

#[derive(Debug)]
struct Damage {
    reason: String,
    /// Handles of the state buffers that were not written since.
    stale: HashSet<u64>,
}

impl Poison {
    /// A step that would have written the buffers `state` failed. The first failure is the one that
    /// is reported.
    pub fn set(&self, reason: &str, state: &[u64]) {
        let mut damage = lock(&self.damage);
        let damage = damage
            .get_or_insert_with(|| Damage { reason: reason.to_owned(), stale: HashSet::new() });
        damage.stale.extend(state);
        self.set.store(true, Ordering::Release);
    }

    /// The host has written to a buffer.
    pub fn restored(&self, buffer: u64) {
        if !self.set.load(Ordering::Acquire) {
            return;
        }
        if let Some(damage) = &mut *lock(&self.damage) {
            damage.stale.remove(&buffer);
        }
    }

    /// Whether a step may run.
    pub fn state(&self) -> Health {
        if !self.set.load(Ordering::Acquire) {
            return Health::Good;
        }
        match &*lock(&self.damage) {
            None => Health::Good,
            Some(damage) if damage.stale.is_empty() => Health::Restored,
            Some(damage) => Health::Damaged(damage.reason.clone()),
        }
    }

    /// Forgets the failure.
    pub fn clear(&self) {
        *lock(&self.damage) = None;
        self.set.store(false, Ordering::Release);
    }
}

/// What can be said of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// No step failed.
    Good,
    /// A step failed, and the state was written again since.
    Restored,
    /// A step failed, for this reason.
    Damaged(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_state_must_be_written_again() {
        let poison = Poison::default();
        assert_eq!(poison.state(), Health::Good);
        poison.set("lost", &[1, 2]);
        poison.set("poisoned", &[3]);
        for buffer in [1, 2, 9] {
            poison.restored(buffer);
            assert_eq!(poison.state(), Health::Damaged("lost".into()), "the first reason");
        }
        poison.restored(3);
        assert_eq!(poison.state(), Health::Restored);
        poison.clear();
        assert_eq!(poison.state(), Health::Good);
    }
}
