//! Where the time of an epoch goes, measured on the host without waiting for the device.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Seconds of one epoch, without compilation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for batches: how long the loader made the loop stall.
    pub data_seconds: f64,
    /// Submitting steps; on a device that works in the background this is not the work itself.
    pub step_seconds: f64,
    /// Collecting losses, metrics and callbacks of steps.
    pub other_seconds: f64,
    /// From the first batch to the last loss: the sum of the above.
    pub train_seconds: f64,
    /// Validation after the epoch.
    pub validation_seconds: f64,
}

/// Attributes the time since it was last asked to phases.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    start: Instant,
    last: Instant,
    data: Duration,
    step: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Stopwatch { start: now, last: now, data: Duration::ZERO, step: Duration::ZERO }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.last;
        self.last = now;
        lap
    }

    /// What has passed went into something else.
    pub(crate) fn other(&mut self) {
        self.lap();
    }

    /// What has passed was spent waiting for a batch.
    pub(crate) fn data(&mut self) {
        let lap = self.lap();
        self.data += lap;
    }

    /// What has passed was spent submitting a step.
    pub(crate) fn step(&mut self) {
        let lap = self.lap();
        self.step += lap;
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// The phases up to now.
    pub(crate) fn phases(&self) -> Phases {
        let total = self.start.elapsed();
        Phases {
            data_seconds: self.data.as_secs_f64(),
            step_seconds: self.step.as_secs_f64(),
            other_seconds: total.saturating_sub(self.data + self.step).as_secs_f64(),
            train_seconds: total.as_secs_f64(),
            validation_seconds: 0.0,
        }
    }
}

/// The most memory that this process has had resident, in bytes, where the system tells.
pub fn peak_resident_bytes() -> Option<u64> {
    // Linux: "VmHWM:     12345 kB". Other systems have no such file.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up() {
        let mut watch = Stopwatch::start();
        watch.data();
        watch.step();
        watch.other();
        let phases = watch.phases();
        let sum = phases.data_seconds + phases.step_seconds + phases.other_seconds;
        assert!((sum - phases.train_seconds).abs() < 1e-9);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_the_peak() {
        assert!(peak_resident_bytes().is_some_and(|bytes| bytes > 1 << 16));
    }
}
