//! Faults on purpose, for tests of what comes after them.

use std::cell::Cell;

thread_local! {
    /// Whether the next kernel that this thread runs panics.
    pub(crate) static LET_PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Makes the next kernel that this thread runs panic.
#[cfg(feature = "faults")]
pub fn let_the_next_kernel_panic() {
    LET_PANIC.set(true);
}
