//! Falling when a metric stands still.
//!
//! This file and `kind.rs` name one another: a plateau is a kind of schedule, and a kind of schedule says
//! whether it holds a plateau, which alone is told of metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Per;
use super::horizon::Clock;
use super::kind::Kind;
use crate::OptimizerError;
use crate::check::{Range, check};

/// Which metrics are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlateauMode {
    /// Lower ones, such as of a loss.
    #[default]
    Min,
    /// Higher ones, such as of an accuracy.
    Max,
}

/// How the threshold counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// As a share of the best metric.
    #[default]
    Rel,
    /// As a difference from the best metric.
    Abs,
}

/// When a metric has not improved for more than `patience` observations, the learning rate is
/// multiplied by `factor` (PyTorch's `ReduceLROnPlateau`). The unit is the observation, of which a
/// trainer makes one an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReduceOnPlateau {
    /// Which metrics are better; by default what watches it decides: a trainer by what it
    /// monitors, and else the lower ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<PlateauMode>,
    /// The factor of a reduction.
    pub factor: f64,
    /// How many observations without an improvement are borne.
    pub patience: u64,
    /// By how much a metric must be better to count as an improvement.
    pub threshold: f64,
    /// How the threshold counts.
    pub threshold_mode: ThresholdMode,
    /// For how many observations after a reduction none counts as bad.
    pub cooldown: u64,
    /// The lowest learning rate.
    pub min_lr: f64,
    /// A reduction by no more than this is not made.
    pub eps: f64,
}

impl Default for ReduceOnPlateau {
    fn default() -> Self {
        ReduceOnPlateau {
            mode: None,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

impl ReduceOnPlateau {
    pub(super) fn start(&self, lr: f64) -> PlateauState {
        let best = self.worst();
        PlateauState { lr, base_lr: Some(lr), best, bad_observations: 0, cooldown: 0 }
    }

    /// What every metric is better than.
    fn worst(&self) -> f64 {
        match self.mode() {
            PlateauMode::Min => f64::INFINITY,
            PlateauMode::Max => f64::NEG_INFINITY,
        }
    }

    fn mode(&self) -> PlateauMode {
        self.mode.unwrap_or_default()
    }

    /// The state of a checkpoint, for an optimizer whose learning rate may be another by now.
    pub(super) fn resume(&self, mut state: PlateauState, base_lr: f64) -> PlateauState {
        if state.base_lr.is_some_and(|before| before != base_lr) {
            state.restart_at(base_lr);
        }
        if state.best.is_infinite() {
            state.best = self.worst();
        }
        state
    }

    /// Whether `metric` is better than `best` by more than the threshold. NaN is not.
    fn improves(&self, metric: f64, best: f64) -> bool {
        match (self.mode(), self.threshold_mode) {
            (PlateauMode::Min, ThresholdMode::Rel) => metric < best * (1.0 - self.threshold),
            (PlateauMode::Min, ThresholdMode::Abs) => metric < best - self.threshold,
            (PlateauMode::Max, ThresholdMode::Rel) => metric > best * (1.0 + self.threshold),
            (PlateauMode::Max, ThresholdMode::Abs) => metric > best + self.threshold,
        }
    }

    /// Takes in a metric. Returns whether the learning rate has been reduced.
    pub(super) fn observe(&self, state: &mut PlateauState, metric: f64) -> bool {
        if self.improves(metric, state.best) {
            state.best = metric;
            state.bad_observations = 0;
        } else {
            state.bad_observations += 1;
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad_observations = 0;
        }
        if state.bad_observations <= self.patience {
            return false;
        }
        state.cooldown = self.cooldown;
        state.bad_observations = 0;
        let lower = (state.lr * self.factor).max(self.min_lr);
        let reduce = state.lr - lower > self.eps;
        if reduce {
            state.lr = lower;
        }
        reduce
    }
}

/// What [`ReduceOnPlateau`] knows of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    #[serde(with = "super::exact::number")]
    lr: f64,
    /// The optimizer's learning rate that it started from.
    #[serde(default, with = "super::exact::option", skip_serializing_if = "Option::is_none")]
    base_lr: Option<f64>,
    #[serde(with = "super::exact::number")]
    best: f64,
    bad_observations: u64,
    cooldown: u64,
}

impl PlateauState {
    /// The learning rate now.
    pub fn lr(&self) -> f64 {
        self.lr
    }

    /// The best metric so far; infinite before the first observation.
    pub fn best(&self) -> f64 {
        self.best
    }

    /// Forgets the metric, but not the learning rate: from now on another one is watched.
    pub fn forget_metric(&mut self) {
        self.best = f64::INFINITY;
        self.bad_observations = 0;
    }

    /// Goes on from another learning rate of the optimizer.
    pub(super) fn restart_at(&mut self, lr: f64) {
        (self.lr, self.base_lr) = (lr, Some(lr));
    }
}

impl Kind for ReduceOnPlateau {
    fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "reduce_on_plateau",
            [
                ("factor", self.factor, Range::BelowOne),
                ("threshold", self.threshold, Range::NotNegative),
                ("min_lr", self.min_lr, Range::NotNegative),
                ("eps", self.eps, Range::NotNegative),
            ],
        )
    }

    fn per(&self) -> Per {
        Per::Epoch
    }

    fn needs_epochs(&self) -> bool {
        false
    }

    fn plateau(&self) -> Option<&ReduceOnPlateau> {
        Some(self)
    }

    fn lr(&self, base: f64, _: Clock<'_>) -> f64 {
        base
    }

    fn foresee(&self, _: &str, _: f64, clock: Clock<'_>) -> Option<String> {
        // The first observation always improves; the reduction follows on one more than the
        // patience, and the next epoch is the first to feel it.
        let first = self.patience.saturating_add(2);
        (first >= clock.epochs()).then(|| {
            format!(
                "with a patience of {} the learning rate is reduced after {first} epochs at the \
                 earliest, but the run has {}: it stays as it is",
                self.patience,
                clock.epochs()
            )
        })
    }
}
