//! Falling by a factor at given places.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::horizon::Clock;
use super::kind::{Kind, never_changes};
use super::{Per, StepDecay};
use crate::OptimizerError;
use crate::check::{Range, check};

/// `lr * gamma^n`, where `n` is the number of milestones up to and with `t` (PyTorch's
/// `MultiStepLR`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiStep {
    /// Where the learning rate falls.
    pub milestones: Vec<u64>,
    /// The factor of a fall.
    #[serde(default = "StepDecay::default_gamma")]
    pub gamma: f64,
    /// The unit of `t`.
    #[serde(default = "Per::epoch")]
    pub per: Per,
}

impl MultiStep {
    /// A fall to a tenth at each of these epochs.
    pub fn new(milestones: impl Into<Vec<u64>>) -> Self {
        let milestones = milestones.into();
        MultiStep { milestones, gamma: StepDecay::default_gamma(), per: Per::Epoch }
    }
}

impl Kind for MultiStep {
    fn validate(&self) -> Result<(), OptimizerError> {
        check("multi_step", [("gamma", self.gamma, Range::NotNegative)])
    }

    fn per(&self) -> Per {
        self.per
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        let t = clock.count(self.per);
        let falls = self.milestones.iter().filter(|&&milestone| milestone <= t).count();
        base * self.gamma.powf(falls as f64)
    }

    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        let Some(&first) = self.milestones.iter().min() else {
            return Some(format!("it has no milestones: {what} stays at {base}"));
        };
        never_changes(what, first, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}
