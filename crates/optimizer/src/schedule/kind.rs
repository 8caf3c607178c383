//! What a schedule can do.

use super::horizon::Clock;
use super::{Per, ReduceOnPlateau};
use crate::OptimizerError;

/// What the options of a schedule can do.
pub(crate) trait Kind {
    /// Checks the options, with the ranges of PyTorch.
    fn validate(&self) -> Result<(), OptimizerError>;

    /// What it counts.
    fn per(&self) -> Per;

    /// Whether it depends on how many steps an epoch has, or the run.
    fn needs_epochs(&self) -> bool {
        self.per() == Per::Epoch
    }

    /// The learning rate of its own that it goes by in place of the optimizer's.
    fn own_lr(&self) -> Option<f64> {
        None
    }

    /// The part that watches a metric.
    fn plateau(&self) -> Option<&ReduceOnPlateau> {
        None
    }

    /// The number at a place of a run, where `base` is what it starts from, or the plateau's state.
    fn lr(&self, base: f64, clock: Clock<'_>) -> f64;

    /// What its user may not have meant of `what`, in the numbers of the run.
    fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String>;
}

/// `1 epoch`, `20 steps`
pub(super) fn count(number: u64, per: Per) -> String {
    let unit = match per {
        Per::Epoch => "epoch",
        Per::Step => "step",
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// The number stays where it starts, as it first changes after `first` units.
pub(super) fn never_changes(
    what: &str,
    first: u64,
    per: Per,
    clock: Clock<'_>,
    start: f64,
) -> Option<String> {
    let total = clock.real_total(per);
    (first >= total).then(|| {
        format!(
            "{what} first changes after {}, but the run has {total}: it stays at {start}",
            count(first, per)
        )
    })
}
