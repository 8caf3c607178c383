//! Falling by a factor each time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::horizon::Clock;
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

    pub(super) fn validate(&self) -> Result<(), OptimizerError> {
        check("exponential", [("gamma", self.gamma, Range::NotNegative)])
    }

    pub(super) fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        base * self.gamma.powf(clock.count(self.per) as f64)
    }
}
