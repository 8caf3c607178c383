//! Falling by a factor every so often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::horizon::Clock;
use super::kind::{Kind, never_changes};
use crate::OptimizerError;
use crate::check::{Range, check, check_count};

/// `lr * gamma^floor(t / step_size)` (PyTorch's `StepLR`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDecay {
    /// How many units lie between two falls.
    pub step_size: u64,
    /// The factor of a fall.
    #[serde(default = "StepDecay::default_gamma")]
    pub gamma: f64,
    /// The unit of `t`.
    #[serde(default = "Per::epoch")]
    pub per: Per,
}

impl StepDecay {
    /// A fall to a tenth every `step_size` epochs.
    pub fn new(step_size: u64) -> Self {
        StepDecay { step_size, gamma: Self::default_gamma(), per: Per::Epoch }
    }

    /// PyTorch's factor, also that of [`MultiStep`](super::MultiStep).
    pub(super) fn default_gamma() -> f64 {
        0.1
    }
}

impl Kind for StepDecay {
    fn validate(&self) -> Result<(), OptimizerError> {
        check_count("step", "step_size", self.step_size)?;
        check("step", [("gamma", self.gamma, Range::NotNegative)])
    }

    fn per(&self) -> Per {
        self.per
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        let falls = clock.count(self.per) / self.step_size;
        base * self.gamma.powf(falls as f64)
    }

    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        never_changes(what, self.step_size, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}
