//! Locks that survive a panic elsewhere, and the atomics that the model checker replaces.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What [`HandleCount`](crate::handle_count::HandleCount) is built on. A test compiles that file
/// with loom's atomics in this place and explores every interleaving.
pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering, fence};
}

/// Locks, whether or not a thread panicked while it held the lock. Every critical section of this
/// crate leaves its data consistent at each point where it can panic, so poison says nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
