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
