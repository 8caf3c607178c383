//! Up and down once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::cosine::anneal_cosine;
use super::horizon::Clock;
use super::kind::{Kind, count};
use crate::OptimizerError;
use crate::check::{Range, check, check_count};

/// How a one-cycle schedule goes from one learning rate to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnnealStrategy {
    /// Along half a cosine.
    #[default]
    #[serde(rename = "cos")]
    Cosine,
    /// Along a straight line.
    Linear,
}

impl AnnealStrategy {
    fn between(self, start: f64, end: f64, t: f64) -> f64 {
        match self {
            AnnealStrategy::Cosine => anneal_cosine(start, end, t),
            AnnealStrategy::Linear => start + (end - start) * t,
        }
    }
}

/// One cycle (Smith and Topin, 2018, "Super-Convergence: Very Fast Training of Neural Networks
/// Using Large Learning Rates", in the form of PyTorch's `OneCycleLR`): from `max_lr / div_factor`
/// up to `max_lr` during the first `pct_start` of the run, then down to
/// `max_lr / (div_factor * final_div_factor)`. In three phases it comes down to its start as fast
/// as it went up, and from there to the end. After the cycle the last learning rate stays.
///
/// PyTorch's default also cycles the momentum, the other way round; this does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// The highest learning rate; by default the optimizer's own, which is not used otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_lr: Option<f64>,
    /// How many units the cycle takes; by default the rest of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u64>,
    /// The share of the cycle in which the learning rate rises.
    pub pct_start: f64,
    /// How it moves.
    pub anneal_strategy: AnnealStrategy,
    /// How much lower the first learning rate is than the highest.
    pub div_factor: f64,
    /// How much lower the last learning rate is than the first.
    pub final_div_factor: f64,
    /// Whether there are three phases instead of two.
    pub three_phase: bool,
    /// The unit of the cycle.
    pub per: Per,
}

impl Default for OneCycle {
    fn default() -> Self {
        OneCycle {
            max_lr: None,
            total_steps: None,
            pct_start: 0.3,
            anneal_strategy: AnnealStrategy::Cosine,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
            per: Per::Step,
        }
    }
}

impl OneCycle {
    /// Between two points of (time, learning rate). A phase without a length is at its end.
    fn phase(&self, start: (f64, f64), end: (f64, f64), t: f64) -> f64 {
        let length = end.0 - start.0;
        let done = if length > 0.0 { (t - start.0) / length } else { 1.0 };
        self.anneal_strategy.between(start.1, end.1, done)
    }
}

impl Kind for OneCycle {
    fn validate(&self) -> Result<(), OptimizerError> {
        check_count("one_cycle", "total_steps", self.total_steps.unwrap_or(1))?;
        check(
            "one_cycle",
            [
                ("max_lr", self.max_lr.unwrap_or(1.0), Range::Positive),
                ("pct_start", self.pct_start, Range::UpToOne),
                ("div_factor", self.div_factor, Range::Positive),
                ("final_div_factor", self.final_div_factor, Range::Positive),
            ],
        )
    }

    fn per(&self) -> Per {
        self.per
    }

    fn needs_epochs(&self) -> bool {
        self.per == Per::Epoch || self.total_steps.is_none()
    }

    fn own_lr(&self) -> Option<f64> {
        self.max_lr
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        let (t, total) = match self.total_steps {
            Some(total) => (clock.count(self.per), total),
            None => (clock.share(self.per), clock.total(self.per)),
        };
        let t = t.min(total - 1) as f64;
        let max = self.max_lr.unwrap_or(base);
        let first = max / self.div_factor;
        let last = first / self.final_div_factor;
        let peak = self.pct_start * total as f64 - 1.0;
        let end = total as f64 - 1.0;
        if t <= peak {
            return self.phase((0.0, first), (peak, max), t);
        }
        if !self.three_phase {
            return self.phase((peak, max), (end, last), t);
        }
        let turn = 2.0 * peak;
        if t <= turn {
            return self.phase((peak, max), (turn, first), t);
        }
        self.phase((turn, first), (end, last), t)
    }

    fn foresee(&self, _: &str, _: f64, clock: Clock<'_>) -> Option<String> {
        let total = clock.real_total(self.per);
        let cycle = self.total_steps.filter(|&cycle| cycle > total)?;
        Some(format!(
            "the cycle takes {}, but the run has {total}: it ends before the cycle does",
            count(cycle, self.per)
        ))
    }
}
