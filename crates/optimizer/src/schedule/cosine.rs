//! Falling along half a cosine.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::horizon::Clock;
use super::kind::{Kind, count, never_changes};
use crate::OptimizerError;
use crate::check::{Range, check, check_count};

/// `eta_min + (lr - eta_min) * (1 + cos(pi * t / T_max)) / 2` (Loshchilov and Hutter, 2017,
/// "SGDR: Stochastic Gradient Descent with Warm Restarts", without the restarts; PyTorch's
/// `CosineAnnealingLR`). After `T_max` it rises again, as PyTorch's does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// How many units the fall takes; by default the rest of the run.
    #[serde(default, rename = "T_max", alias = "t_max", skip_serializing_if = "Option::is_none")]
    pub t_max: Option<u64>,
    /// The learning rate at the end.
    #[serde(default)]
    pub eta_min: f64,
    /// The unit of `t` and `T_max`.
    #[serde(default = "Per::epoch")]
    pub per: Per,
}

impl Default for Cosine {
    fn default() -> Self {
        Cosine { t_max: None, eta_min: 0.0, per: Per::Epoch }
    }
}

/// From `start` at 0 to `end` at 1 along half a cosine.
pub(super) fn anneal_cosine(start: f64, end: f64, t: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * t).cos()) / 2.0
}

impl Kind for Cosine {
    fn validate(&self) -> Result<(), OptimizerError> {
        check_count("cosine", "T_max", self.t_max.unwrap_or(1))?;
        check("cosine", [("eta_min", self.eta_min, Range::NotNegative)])
    }

    fn per(&self) -> Per {
        self.per
    }

    fn needs_epochs(&self) -> bool {
        self.per == Per::Epoch || self.t_max.is_none()
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        let (t, t_max) = match self.t_max {
            Some(t_max) => (clock.count(self.per), t_max),
            None => (clock.share(self.per), clock.total(self.per)),
        };
        anneal_cosine(base, self.eta_min, t as f64 / t_max as f64)
    }

    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        let total = clock.real_total(self.per);
        match self.t_max {
            Some(t_max) if t_max.saturating_add(1) < total => Some(format!(
                "{what} falls for {} (T_max) and rises again after them, but the run \
                 has {total}",
                count(t_max, self.per)
            )),
            _ => never_changes(what, 1, self.per, clock, base),
        }
    }
}
