//! The reference count of things that are recycled instead of freed.

use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// Counts handles. It differs from `Arc` in one thing: when the count reaches zero the owner
/// recycles the thing, allocation and all, so that the next user needs no heap memory.
/// The memory orderings are `Arc`'s, for the same reasons.
#[derive(Debug, Default)]
pub(crate) struct HandleCount(AtomicUsize);

impl HandleCount {
    /// Starts a new life with one handle. The caller owns the thing alone.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.get(), 0, "recycled while handles exist");
        self.0.store(1, Ordering::Relaxed);
    }

    /// Adds a handle; the caller has one already.
    pub(crate) fn retain(&self) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        // Only leaking handles in a loop gets here; an overflow would free memory in use.
        if before > isize::MAX as usize {
            std::process::abort();
        }
    }

    /// Gives a handle up. True for the last one: then everything the other handles did has
    /// happened before this returns, and the caller must recycle the thing.
    pub(crate) fn release(&self) -> bool {
        let last = self.0.fetch_sub(1, Ordering::Release) == 1;
        if last {
            fence(Ordering::Acquire);
        }
        last
    }

    /// The number of handles. 1, seen by the holder of a handle, means that it is the only one and
    /// that all use through others has happened before.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}
