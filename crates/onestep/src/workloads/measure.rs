//! Timing of steps.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::runner::{RunnerError, StepRunner};

/// Stretches of steps that are timed one by one; the median of them is reported.
const REPETITIONS: usize = 7;

/// How fast a workload steps, and what it learned meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Milliseconds a step: the median of the repetitions.
    pub ms_per_step: f64,
    /// The fastest repetition.
    pub ms_per_step_min: f64,
    /// The slowest repetition.
    pub ms_per_step_max: f64,
    /// Steps a second, from the median.
    pub steps_per_second: f64,
    /// Samples a second, from the median.
    pub samples_per_second: f64,
    /// The loss of the first step.
    pub first_loss: f32,
    /// The loss of the last step.
    pub last_loss: f32,
    /// Steps run in all, those of the warm-up included.
    pub steps: u64,
    /// Calls into the executor for each timed step.
    pub native_calls_per_step: f64,
    /// Device allocations for each timed step.
    pub allocations_per_step: f64,
    /// Times that the host waited for the device, for each timed step.
    pub host_syncs_per_step: f64,
}

impl StepRunner {
    /// Steps for about `time`: a quarter of it to warm up, the rest in seven repetitions of equally
    /// many steps, each of which ends when its last loss has arrived.
    ///
    /// # Errors
    /// A step failed.
    pub fn measure(&mut self, time: Duration) -> Result<Measurement, RunnerError> {
        let first_loss = self.step()?.wait()?.loss().unwrap_or(f32::NAN);
        let per_step = self.warm_up(time / 4)?;
        let stretch = time.as_secs_f64() * 0.75 / REPETITIONS as f64;
        let inner = (stretch / per_step.max(1e-9)).round().max(1.0) as u64;
        let before = self.counters();
        let mut times = [0.0; REPETITIONS];
        let mut last_loss = first_loss;
        for time in &mut times {
            let start = Instant::now();
            last_loss = self.stretch(inner)?;
            *time = start.elapsed().as_secs_f64() * 1e3 / inner as f64;
        }
        let counters = self.counters() - before;
        times.sort_by(f64::total_cmp);
        let median = times[REPETITIONS / 2];
        let timed = (inner * REPETITIONS as u64) as f64;
        Ok(Measurement {
            ms_per_step: median,
            ms_per_step_min: times[0],
            ms_per_step_max: times[REPETITIONS - 1],
            steps_per_second: 1e3 / median,
            samples_per_second: 1e3 / median * self.batch_size() as f64,
            first_loss,
            last_loss,
            steps: self.steps(),
            native_calls_per_step: counters.native_calls as f64 / timed,
            allocations_per_step: counters.allocations as f64 / timed,
            host_syncs_per_step: counters.host_syncs as f64 / timed,
        })
    }

    /// Seconds a step, after at least three of them.
    fn warm_up(&mut self, time: Duration) -> Result<f64, RunnerError> {
        let start = Instant::now();
        let mut steps = 0;
        while steps < 3 || start.elapsed() < time {
            self.step()?.wait()?;
            steps += 1;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(steps))
    }

    /// Submits so many steps, waits for the last, and gives its loss.
    fn stretch(&mut self, steps: u64) -> Result<f32, RunnerError> {
        let mut last = self.step()?;
        for _ in 1..steps {
            last = self.step()?;
        }
        Ok(last.wait()?.loss().unwrap_or(f32::NAN))
    }
}
