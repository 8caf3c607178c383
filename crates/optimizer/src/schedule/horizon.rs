//! What a schedule counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OptimizerError;
use crate::check::check_count;

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Passes through the data.
    Epoch,
    /// Optimizer steps.
    Step,
}

impl Per {
    /// The default of most schedules.
    pub(super) fn epoch() -> Self {
        Per::Epoch
    }
}

/// How long a training run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    total_steps: u64,
    steps_per_epoch: u64,
}

impl Horizon {
    /// A run of so many epochs of so many optimizer steps each.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when either is zero.
    pub fn new(epochs: u64, steps_per_epoch: u64) -> Result<Self, OptimizerError> {
        check_count("schedule", "epochs", epochs)?;
        check_count("schedule", "steps_per_epoch", steps_per_epoch)?;
        Ok(Horizon { total_steps: epochs.saturating_mul(steps_per_epoch), steps_per_epoch })
    }

    /// A place in the run.
    pub(super) fn at(self, step: u64) -> Clock {
        Clock { step, horizon: self }
    }
}

/// A place in a run, or in what is left of it after a warm-up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    step: u64,
    horizon: Horizon,
}

impl Clock {
    /// How many whole units have passed.
    pub(super) fn count(self, per: Per) -> u64 {
        match per {
            Per::Step => self.step,
            Per::Epoch => self.step / self.horizon.steps_per_epoch,
        }
    }

    /// How many units the run has, at least 1.
    pub(super) fn total(self, per: Per) -> u64 {
        let total = match per {
            Per::Step => self.horizon.total_steps,
            Per::Epoch => self.horizon.total_steps.div_ceil(self.horizon.steps_per_epoch),
        };
        total.max(1)
    }

    /// The same place counted from `count` units on; before them it is the start.
    pub(super) fn after(self, count: u64, per: Per) -> Clock {
        let skipped = match per {
            Per::Step => count,
            Per::Epoch => count.saturating_mul(self.horizon.steps_per_epoch),
        };
        let total_steps = self.horizon.total_steps.saturating_sub(skipped);
        let horizon = Horizon { total_steps, ..self.horizon };
        Clock { step: self.step.saturating_sub(skipped), horizon }
    }
}
