//! Falling by a factor each time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::horizon::Clock;
use super::kind::{Kind, never_changes};
use crate::OptimizerError;
use crate::check::{Range, check};

/// `lr * gamma^t` (PyTorch's `ExponentialLR`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// The factor.
    pub gamma: f64,
    /// The unit of `t`.
    #[serde(default = "Per::epoch")]
    pub per: Per,
}

impl Exponential {
    /// A fall by this factor each epoch.
    pub fn new(gamma: f64) -> Self {
        Exponential { gamma, per: Per::Epoch }
    }
}

impl Kind for Exponential {
    fn validate(&self) -> Result<(), OptimizerError> {
        check("exponential", [("gamma", self.gamma, Range::NotNegative)])
    }

    fn per(&self) -> Per {
        self.per
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        base * self.gamma.powf(clock.count(self.per) as f64)
    }

    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        never_changes(what, 1, self.per, clock, base).filter(|_| self.gamma != 1.0)
    }
}
