//! What a pool holds and how well it serves.

use std::fmt;

use crate::{Tier, format_bytes};

/// Counts of one tier, or of all of them together. Sizes are in bytes of whole buffers: what the
/// device gave, not what tensors needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierStatistics {
    /// Bytes of buffers in use by tensors.
    pub live: usize,
    /// Bytes of idle buffers kept for reuse.
    pub pooled: usize,
    /// The most `live` ever was.
    pub peak: usize,
    /// The most `live + pooled` ever was: what the device had to provide.
    pub peak_reserved: usize,
    /// Buffers in use by tensors.
    pub live_buffers: usize,
    /// Idle buffers kept for reuse.
    pub pooled_buffers: usize,
    /// Requests served by an idle buffer.
    pub hits: u64,
    /// Requests that needed the device, those it refused included.
    pub misses: u64,
    /// Buffers the device has allocated.
    pub device_allocations: u64,
    /// Buffers given back to the device.
    pub device_frees: u64,
}

impl TierStatistics {
    /// Bytes the device provides at this moment: live and pooled.
    pub fn reserved(&self) -> usize {
        self.live + self.pooled
    }

    pub(crate) fn hit(&mut self, bytes: usize) {
        self.hits += 1;
        self.leave_pool(bytes);
        self.enter_live(bytes);
    }

    pub(crate) fn miss(&mut self) {
        self.misses += 1;
    }

    pub(crate) fn allocated(&mut self, bytes: usize) {
        self.device_allocations += 1;
        self.enter_live(bytes);
    }

    pub(crate) fn returned_to_pool(&mut self, bytes: usize) {
        self.leave_live(bytes);
        self.pooled += bytes;
        self.pooled_buffers += 1;
    }

    pub(crate) fn returned_to_device(&mut self, bytes: usize) {
        self.leave_live(bytes);
        self.device_frees += 1;
    }

    pub(crate) fn trimmed(&mut self, bytes: usize) {
        self.leave_pool(bytes);
        self.device_frees += 1;
    }

    pub(crate) fn reset_peaks(&mut self) {
        self.peak = self.live;
        self.peak_reserved = self.reserved();
    }

    fn enter_live(&mut self, bytes: usize) {
        self.live += bytes;
        self.live_buffers += 1;
        self.peak = self.peak.max(self.live);
        self.peak_reserved = self.peak_reserved.max(self.reserved());
    }

    fn leave_live(&mut self, bytes: usize) {
        self.live -= bytes;
        self.live_buffers -= 1;
    }

    fn leave_pool(&mut self, bytes: usize) {
        self.pooled -= bytes;
        self.pooled_buffers -= 1;
    }
}

/// Statistics of a pool, by tier and in total. It displays as a table.
///
/// Peaks are those of each tier by itself, so their sum can exceed the total's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// One entry a tier, in the order of [`Tier::ALL`].
    pub tiers: [TierStatistics; 4],
    /// All tiers together.
    pub total: TierStatistics,
}

impl PoolStatistics {
    /// The statistics of one tier.
    pub fn tier(&self, tier: Tier) -> &TierStatistics {
        &self.tiers[tier as usize]
    }

    /// Records one event in a tier and in the total.
    pub(crate) fn record(&mut self, tier: Tier, event: impl Fn(&mut TierStatistics)) {
        event(&mut self.tiers[tier as usize]);
        event(&mut self.total);
    }

    pub(crate) fn reset_peaks(&mut self) {
        self.tiers.iter_mut().for_each(TierStatistics::reset_peaks);
        self.total.reset_peaks();
    }
}

impl fmt::Display for PoolStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<7}{:>11}{:>11}{:>11}{:>9}{:>9}{:>13}",
            "tier", "live", "pooled", "peak", "hits", "misses", "allocations"
        )?;
        let tiers = Tier::ALL.iter().map(|&tier| (tier.name(), self.tier(tier)));
        for (name, row) in tiers.chain([("total", &self.total)]) {
            writeln!(
                f,
                "{name:<7}{:>11}{:>11}{:>11}{:>9}{:>9}{:>13}",
                format_bytes(row.live),
                format_bytes(row.pooled),
                format_bytes(row.peak),
                row.hits,
                row.misses,
                row.device_allocations
            )?;
        }
        Ok(())
    }
}
