//! A linear warm-up before another schedule.
//!
//! This file and the list of schedules name one another: a warm-up holds the schedule that follows, which
//! may be any of the list.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::horizon::Clock;
use super::kind::{Kind, count};
use super::{Per, ReduceOnPlateau, ScheduleSpec};
use crate::OptimizerError;
use crate::check::{Range, check};

/// For `total_iters` units the learning rate rises in a straight line from `start_factor` times
/// the first learning rate of the next schedule to that rate itself; then that schedule starts
/// (PyTorch's `LinearLR` and the next in a `SequentialLR`).
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearWarmup {
    /// The first learning rate as a share of the full one.
    #[serde(default = "LinearWarmup::default_start_factor")]
    pub start_factor: f64,
    /// How many units the warm-up takes.
    #[serde(default = "LinearWarmup::default_total_iters")]
    pub total_iters: u64,
    /// The unit of `total_iters`; by default that of the next schedule. Where they differ, the
    /// next schedule counts whole units of its own from the end of the warm-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// The schedule after the warm-up.
    #[serde(default, serialize_with = "write_then", deserialize_with = "read_then")]
    pub then: Box<ScheduleSpec>,
}

/// One schedule after the other, since a long row of them would overflow the stack.
impl Clone for LinearWarmup {
    fn clone(&self) -> Self {
        let mut row = vec![self];
        let mut last = &*self.then;
        while let ScheduleSpec::LinearWarmup(warmup) = last {
            row.push(warmup);
            last = &warmup.then;
        }
        let copy = |warmup: &Self, then| {
            let &LinearWarmup { start_factor, total_iters, per, .. } = warmup;
            LinearWarmup { start_factor, total_iters, per, then: Box::new(then) }
        };
        let then = row[1..]
            .iter()
            .rev()
            .fold(last.clone(), |then, warmup| ScheduleSpec::LinearWarmup(copy(warmup, then)));
        copy(self, then)
    }
}

/// Writes as many schedules in a row as can be read again.
fn read_then<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<ScheduleSpec>, D::Error> {
    let then = Box::<ScheduleSpec>::deserialize(deserializer)?;
    let most = ScheduleSpec::MOST_IN_A_ROW;
    match then.is_longer_than(most - 1) {
        true => Err(D::Error::custom(format!("at most {most} schedules in a row"))),
        false => Ok(then),
    }
}

fn write_then<S: Serializer>(then: &ScheduleSpec, serializer: S) -> Result<S::Ok, S::Error> {
    let most = ScheduleSpec::MOST_IN_A_ROW;
    if then.is_longer_than(most - 1) {
        return Err(S::Error::custom(format!("more than {most} schedules in a row")));
    }
    Serialize::serialize(then, serializer)
}

impl LinearWarmup {
    /// A warm-up of `total_iters` units of `then`, from a third of its first learning rate.
    pub fn new(total_iters: u64, then: ScheduleSpec) -> Self {
        let start_factor = Self::default_start_factor();
        LinearWarmup { start_factor, total_iters, per: None, then: Box::new(then) }
    }

    pub(super) fn default_start_factor() -> f64 {
        1.0 / 3.0
    }

    fn default_total_iters() -> u64 {
        5
    }
}

impl Kind for LinearWarmup {
    fn validate(&self) -> Result<(), OptimizerError> {
        check("linear_warmup", [("start_factor", self.start_factor, Range::UpToOne)])?;
        self.then.validate()
    }

    fn per(&self) -> Per {
        self.per.unwrap_or_else(|| self.then.per())
    }

    fn needs_epochs(&self) -> bool {
        self.per() == Per::Epoch || self.then.needs_epochs()
    }

    fn own_lr(&self) -> Option<f64> {
        self.then.own_lr()
    }

    fn plateau(&self) -> Option<&ReduceOnPlateau> {
        self.then.plateau()
    }

    fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        let full = self.then.lr(base, clock.after(self.total_iters, self.per()));
        let t = clock.count(self.per());
        if t >= self.total_iters {
            return full;
        }
        let risen = t as f64 / self.total_iters as f64;
        full * (self.start_factor + (1.0 - self.start_factor) * risen)
    }

    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        let (per, warmup) = (self.per(), self.total_iters);
        let after = clock.after(warmup, per);
        let total = clock.real_total(per);
        if warmup == 0 || warmup < total {
            return self.then.foresee(what, base, after);
        }
        let full = self.then.lr(base, after);
        let risen = (total - 1) as f64 / warmup as f64;
        let most = full * (self.start_factor + (1.0 - self.start_factor) * risen);
        Some(format!(
            "the warm-up takes {}, but the run has {total}: {what} rises to {most:.3e} \
             and never reaches {full}",
            count(warmup, per)
        ))
    }
}
