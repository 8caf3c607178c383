//! The shim's counts as the engine's.

use onestep_engine::StepCounters;
use onestep_metal_sys::Statistics;

/// What an executor has done, where callers waited for so many tickets.
pub(crate) fn step_counters(statistics: &Statistics, ticket_waits: u64) -> StepCounters {
    StepCounters {
        native_calls: statistics.native_calls,
        allocations: statistics.metal_allocations,
        host_syncs: statistics.waits + statistics.host_copies + ticket_waits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_and_every_copy_is_a_synchronisation() {
        let statistics = Statistics {
            native_calls: 7,
            command_buffers: 8,
            encodes: 14,
            waits: 2,
            host_copies: 3,
            metal_allocations: 5,
            ..Statistics::default()
        };
        let counters = step_counters(&statistics, 4);
        assert_eq!(counters, StepCounters { native_calls: 7, allocations: 5, host_syncs: 9 });
    }
}
