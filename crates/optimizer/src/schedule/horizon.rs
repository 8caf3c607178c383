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
    /// Its name in JSON, and behind the `@` of a text.
    pub(super) fn text(self) -> &'static str {
        match self {
            Per::Epoch => "epoch",
            Per::Step => "step",
        }
    }

    /// The default of most schedules.
    pub(super) fn epoch() -> Self {
        Per::Epoch
    }
}

/// A part of a run in which all epochs have the same number of steps. A run has one, unless it is
/// resumed with another batch size or with more data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The epoch in which it begins, from 0.
    pub epoch: u64,
    /// The step with which that epoch began or, had it been of this leg, would have begun.
    pub step: u64,
    /// Optimizer steps in each of its epochs.
    pub steps_per_epoch: u64,
}

/// How long a training run is, and how its steps make up its epochs.
///
/// ```
/// use onestep_optimizer::{Horizon, Leg, ScheduleSpec};
///
/// // Four epochs of 100 steps, then, with larger batches, two of 10.
/// let legs = [
///     Leg { epoch: 0, step: 0, steps_per_epoch: 100 },
///     Leg { epoch: 4, step: 400, steps_per_epoch: 10 },
/// ];
/// let schedule = "step:1:0.5".parse::<ScheduleSpec>()?.build(1.0, Horizon::of_legs(6, &legs)?)?;
/// assert_eq!((schedule.lr(399), schedule.lr(400), schedule.lr(410)), (0.125, 0.0625, 0.03125));
/// # Ok::<(), onestep_optimizer::OptimizerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    epochs: u64,
    legs: Vec<Leg>,
    /// The step that the run ends with, where that is in the middle of its last epoch.
    end: Option<u64>,
}

impl Horizon {
    /// A run of so many epochs of so many optimizer steps each.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when either is zero.
    pub fn new(epochs: u64, steps_per_epoch: u64) -> Result<Self, OptimizerError> {
        Self::of_legs(epochs, &[Leg { epoch: 0, step: 0, steps_per_epoch }])
    }

    /// A run of so many epochs in all, whose steps an epoch have changed on the way.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when there are no epochs, no legs, or no steps in a leg, and when
    /// the legs are not in their order.
    pub fn of_legs(epochs: u64, legs: &[Leg]) -> Result<Self, OptimizerError> {
        check_count("schedule", "epochs", epochs)?;
        check_count("schedule", "legs", legs.len() as u64)?;
        for leg in legs {
            check_count("schedule", "steps_per_epoch", leg.steps_per_epoch)?;
        }
        let ordered = |pair: &[Leg]| pair[0].epoch <= pair[1].epoch && pair[0].step <= pair[1].step;
        if !legs.windows(2).all(ordered) {
            let wanted = "in the order of epochs and steps";
            return Err(OptimizerError::option("schedule", "legs", wanted, format!("{legs:?}")));
        }
        Ok(Horizon { epochs, legs: legs.to_vec(), end: None })
    }

    /// The same run where so many steps are all of it, which may end its last epoch early.
    ///
    /// ```
    /// use onestep_optimizer::{Horizon, ScheduleSpec};
    ///
    /// // 25 steps: two epochs of 10, and a half.
    /// let horizon = Horizon::new(3, 10)?.ending(25);
    /// let schedule = "cosine@step".parse::<ScheduleSpec>()?.build(1.0, horizon)?;
    /// let wanted = (1.0 + (std::f64::consts::PI * 5.0 / 25.0).cos()) / 2.0;
    /// assert_eq!(schedule.lr(5), wanted);
    /// # Ok::<(), onestep_optimizer::OptimizerError>(())
    /// ```
    #[must_use]
    pub fn ending(mut self, steps: u64) -> Self {
        self.end = Some(steps);
        self
    }

    /// Epochs of the run.
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    /// Its parts.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The steps of an epoch now, in which places of the whole run are counted.
    fn unit(&self) -> u64 {
        self.legs.last().map_or(1, |leg| leg.steps_per_epoch)
    }

    /// The place at which the run ends.
    fn all(&self) -> u64 {
        let epochs = self.epochs.saturating_mul(self.unit());
        self.end.map_or(epochs, |end| self.place(end).min(epochs))
    }

    /// The place of a step, as if all epochs had as many steps as those of the last leg.
    fn place(&self, step: u64) -> u64 {
        let leg = self.legs.iter().rev().find(|leg| leg.step <= step).or(self.legs.first());
        leg.map_or(step, |leg| {
            let into = scale(step.saturating_sub(leg.step), self.unit(), leg.steps_per_epoch);
            leg.epoch.saturating_mul(self.unit()).saturating_add(into)
        })
    }

    /// The step at such a place: the other way round.
    fn step(&self, place: u64) -> u64 {
        let start = |leg: &Leg| leg.epoch.saturating_mul(self.unit());
        let leg = self.legs.iter().rev().find(|leg| start(leg) <= place).or(self.legs.first());
        leg.map_or(place, |leg| {
            let into = place.saturating_sub(start(leg));
            leg.step.saturating_add(scale(into, leg.steps_per_epoch, self.unit()))
        })
    }

    /// The epoch, from 0, that ends with a step, where one does.
    pub(crate) fn ended(&self, step: u64) -> Option<u64> {
        let epoch = self.epoch_of(step);
        (self.epoch_of(step.saturating_add(1)) > epoch).then_some(epoch)
    }

    /// The epoch, from 0, that a step is of.
    pub(crate) fn epoch_of(&self, step: u64) -> u64 {
        self.at(step).count(Per::Epoch)
    }

    /// A place in the run.
    pub(super) fn at(&self, step: u64) -> Clock<'_> {
        Clock { horizon: self, step, from_step: 0, from_place: 0 }
    }
}

/// `count * to / from`, rounded down.
fn scale(count: u64, to: u64, from: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// A place in a run, or in what is left of it after a warm-up.
///
/// Where a schedule gives a number of steps, steps count as they were made. Where it goes by the
/// run's length, a place is a share of the run, however many steps the epochs had until then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock<'a> {
    horizon: &'a Horizon,
    step: u64,
    /// Where the schedule begins, as a step and as a place.
    from_step: u64,
    from_place: u64,
}

impl Clock<'_> {
    /// Epochs of the whole run.
    pub(super) fn epochs(self) -> u64 {
        self.horizon.epochs
    }

    /// How many whole units have passed.
    pub(super) fn count(self, per: Per) -> u64 {
        match per {
            Per::Step => self.step.saturating_sub(self.from_step),
            Per::Epoch => self.share(per),
        }
    }

    /// How many whole units of [`Clock::total`] have passed.
    pub(super) fn share(self, per: Per) -> u64 {
        let passed = self.horizon.place(self.step).saturating_sub(self.from_place);
        match per {
            Per::Step => passed,
            Per::Epoch => passed / self.horizon.unit(),
        }
    }

    /// How many units the run has, at least 1.
    pub(super) fn total(self, per: Per) -> u64 {
        let left = self.horizon.all().saturating_sub(self.from_place);
        let total = match per {
            Per::Step => left,
            Per::Epoch => left.div_ceil(self.horizon.unit()),
        };
        total.max(1)
    }

    /// How many units are left of the run as they are made, at least 1: steps or epochs.
    pub(super) fn real_total(self, per: Per) -> u64 {
        match per {
            Per::Step => {
                self.horizon.step(self.horizon.all()).saturating_sub(self.from_step).max(1)
            }
            Per::Epoch => self.total(per),
        }
    }

    /// The same place counted from `count` units on; before them it is the start.
    pub(super) fn after(self, count: u64, per: Per) -> Self {
        match per {
            Per::Step => {
                let from_step = self.from_step.saturating_add(count);
                Clock { from_step, from_place: self.horizon.place(from_step), ..self }
            }
            Per::Epoch => {
                let skipped = count.saturating_mul(self.horizon.unit());
                let from_place = self.from_place.saturating_add(skipped);
                Clock { from_place, from_step: self.horizon.step(from_place), ..self }
            }
        }
    }
}
