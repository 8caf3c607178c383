//! Counts that prove how a step runs.

/// What an executor has done so far. In steady state a step adds one native call and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepCounters {
    /// Steps submitted: each is one call into the executor.
    pub native_calls: u64,
    /// Device memory asked for.
    pub allocations: u64,
    /// Times that the host waited for the device or read its memory.
    pub host_syncs: u64,
}

impl std::ops::Sub for StepCounters {
    type Output = StepCounters;

    fn sub(self, earlier: StepCounters) -> StepCounters {
        StepCounters {
            native_calls: self.native_calls - earlier.native_calls,
            allocations: self.allocations - earlier.allocations,
            host_syncs: self.host_syncs - earlier.host_syncs,
        }
    }
}

#[cfg(debug_assertions)]
thread_local! {
    static WORK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts what a pass of the compiler has visited, in builds with debug assertions.
#[doc(hidden)]
pub fn count_work(visited: usize) {
    #[cfg(debug_assertions)]
    WORK.set(WORK.get() + visited as u64);
    #[cfg(not(debug_assertions))]
    let _ = visited;
}

/// What passes of the compiler have visited on this thread beyond one look at each node: the measure
/// by which tests see that compile time grows with a model and not with its square. Always 0 in builds
/// without debug assertions.
#[doc(hidden)]
pub fn compiler_work() -> u64 {
    #[cfg(debug_assertions)]
    return WORK.get();
    #[cfg(not(debug_assertions))]
    0
}
