//! Schedules as configuration.

use onestep_base::registry;
use onestep_base::schema::or_text;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::horizon::Clock;
use super::{
    Cosine, Exponential, LinearWarmup, MultiStep, OneCycle, Per, PlateauMode, ReduceOnPlateau,
    StepDecay,
};
use crate::OptimizerError;

/// The learning rate stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constant {}

/// What [`ScheduleSpec`] looks like as a text. Square brackets mark what may be left out; `@step`
/// or `@epoch` behind a part sets what it counts: optimizer updates, or passes through the data.
pub const SCHEDULE_FORMS: &str = "constant, step:SIZE[:GAMMA], multi_step:AT,AT,…[:GAMMA], \
    exponential:GAMMA, cosine[:T_MAX[:ETA_MIN]], one_cycle[:MAX_LR[:TOTAL_STEPS]], \
    reduce_on_plateau[:FACTOR[:PATIENCE]], warmup:COUNT[:START_FACTOR][+SCHEDULE], each with \
    [@step|@epoch]";

registry! {
    kind = "schedule", plural = "schedules", form = text_or_object;
    /// A schedule with its options, which have the names and the defaults of PyTorch. In JSON it is
    /// an object with a `type`, or the text of the command line ([`SCHEDULE_FORMS`]).
    ///
    /// Most schedules count epochs and have an option `per` (`"epoch"` or `"step"`) to count
    /// optimizer updates instead; [`OneCycle`] counts updates by default.
    ///
    /// ```
    /// use onestep_optimizer::{Per, ScheduleSpec, StepDecay};
    ///
    /// let text = r#"{ "type": "step", "step_size": 1000, "per": "step" }"#;
    /// let spec: ScheduleSpec = serde_json::from_str(text)?;
    /// let wanted = StepDecay { per: Per::Step, ..StepDecay::new(1000) };
    /// assert_eq!(spec, ScheduleSpec::Step(wanted));
    /// assert_eq!(spec, "step:1000@step".parse().unwrap());
    /// assert_eq!(spec, serde_json::from_str(r#""step:1000@step""#)?);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[schemars(rename = "ScheduleSpec", transform = text_or_map)]
    pub enum ScheduleSpec {
        /// The learning rate stays as it is.
        Constant(Constant) = "constant",
        /// It falls by a factor every so often.
        Step(StepDecay) = "step",
        /// It falls by a factor at given places.
        MultiStep(MultiStep) = "multi_step",
        /// It falls by a factor each time.
        Exponential(Exponential) = "exponential",
        /// It falls along half a cosine.
        Cosine(Cosine) = "cosine",
        /// It rises in a straight line before another schedule.
        LinearWarmup(LinearWarmup) = "linear_warmup",
        /// It rises and falls once.
        OneCycle(OneCycle) = "one_cycle",
        /// It falls when a metric stands still.
        ReduceOnPlateau(ReduceOnPlateau) = "reduce_on_plateau",
    }
}

impl ScheduleSpec {
    /// The `type` of the JSON form.
    pub fn name(&self) -> &'static str {
        self.type_name()
    }

    /// The most schedules that may follow on each other, each a warm-up but for the last.
    pub const MOST_IN_A_ROW: usize = 16;

    /// Checks the options, with the ranges of PyTorch.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range, or for more
    /// than [`Self::MOST_IN_A_ROW`] schedules.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        if self.is_longer_than(Self::MOST_IN_A_ROW) {
            let wanted = format!("one of at most {} schedules in a row", Self::MOST_IN_A_ROW);
            return Err(OptimizerError::option(self.name(), "then", wanted, "more"));
        }
        match self {
            ScheduleSpec::Constant(_) => Ok(()),
            ScheduleSpec::Step(spec) => spec.validate(),
            ScheduleSpec::MultiStep(spec) => spec.validate(),
            ScheduleSpec::Exponential(spec) => spec.validate(),
            ScheduleSpec::Cosine(spec) => spec.validate(),
            ScheduleSpec::LinearWarmup(spec) => spec.validate(),
            ScheduleSpec::OneCycle(spec) => spec.validate(),
            ScheduleSpec::ReduceOnPlateau(spec) => spec.validate(),
        }
    }

    /// Whether this and those that follow are more than `most`. Looks no further than that.
    pub(super) fn is_longer_than(&self, most: usize) -> bool {
        let mut last = self;
        for _ in 0..most {
            match last {
                ScheduleSpec::LinearWarmup(warmup) => last = &warmup.then,
                _ => return false,
            }
        }
        true
    }

    /// What it counts. A plateau's observations come once an epoch.
    pub fn per(&self) -> Per {
        match self {
            ScheduleSpec::Constant(_) | ScheduleSpec::ReduceOnPlateau(_) => Per::Epoch,
            ScheduleSpec::Step(spec) => spec.per,
            ScheduleSpec::MultiStep(spec) => spec.per,
            ScheduleSpec::Exponential(spec) => spec.per,
            ScheduleSpec::Cosine(spec) => spec.per,
            ScheduleSpec::LinearWarmup(spec) => spec.per(),
            ScheduleSpec::OneCycle(spec) => spec.per,
        }
    }

    /// The part that watches a metric.
    pub fn plateau(&self) -> Option<&ReduceOnPlateau> {
        match self {
            ScheduleSpec::ReduceOnPlateau(spec) => Some(spec),
            ScheduleSpec::LinearWarmup(spec) => spec.then.plateau(),
            _ => None,
        }
    }

    /// The same schedule, in which the part that watches a metric takes `mode` for the better
    /// direction unless it says one itself.
    #[must_use]
    pub fn with_plateau_mode(mut self, mode: PlateauMode) -> Self {
        match &mut self {
            ScheduleSpec::ReduceOnPlateau(spec) => spec.mode = Some(spec.mode.unwrap_or(mode)),
            ScheduleSpec::LinearWarmup(spec) => {
                let then = std::mem::take(&mut *spec.then);
                *spec.then = then.with_plateau_mode(mode);
            }
            _ => {}
        }
        self
    }

    /// The learning rate of its own that it goes by in place of the optimizer's, where it has one.
    pub fn own_lr(&self) -> Option<f64> {
        match self {
            ScheduleSpec::OneCycle(spec) => spec.max_lr,
            ScheduleSpec::LinearWarmup(spec) => spec.then.own_lr(),
            _ => None,
        }
    }

    /// Whether the learning rate depends on how many steps an epoch has, or the run.
    pub fn needs_epochs(&self) -> bool {
        match self {
            ScheduleSpec::Constant(_) | ScheduleSpec::ReduceOnPlateau(_) => false,
            ScheduleSpec::Step(_) | ScheduleSpec::MultiStep(_) | ScheduleSpec::Exponential(_) => {
                self.per() == Per::Epoch
            }
            ScheduleSpec::Cosine(spec) => spec.per == Per::Epoch || spec.t_max.is_none(),
            ScheduleSpec::OneCycle(spec) => spec.per == Per::Epoch || spec.total_steps.is_none(),
            ScheduleSpec::LinearWarmup(spec) => {
                spec.per() == Per::Epoch || spec.then.needs_epochs()
            }
        }
    }

    /// The learning rate, where `base` is that of the optimizer, or of the plateau's state.
    pub(super) fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        match self {
            ScheduleSpec::Constant(_) | ScheduleSpec::ReduceOnPlateau(_) => base,
            ScheduleSpec::Step(spec) => spec.lr(base, clock),
            ScheduleSpec::MultiStep(spec) => spec.lr(base, clock),
            ScheduleSpec::Exponential(spec) => spec.lr(base, clock),
            ScheduleSpec::Cosine(spec) => spec.lr(base, clock),
            ScheduleSpec::LinearWarmup(spec) => spec.lr(base, clock),
            ScheduleSpec::OneCycle(spec) => spec.lr(base, clock),
        }
    }
}

/// One schedule after the other, since a long row of them would overflow the stack.
impl Drop for ScheduleSpec {
    fn drop(&mut self) {
        let mut next = match self {
            ScheduleSpec::LinearWarmup(warmup) => std::mem::take(&mut *warmup.then),
            _ => return,
        };
        while let ScheduleSpec::LinearWarmup(warmup) = &mut next {
            let after = std::mem::take(&mut *warmup.then);
            next = after;
        }
    }
}

/// A constant learning rate.
impl Default for ScheduleSpec {
    fn default() -> Self {
        ScheduleSpec::Constant(Constant {})
    }
}

fn text_or_map(schema: &mut Schema) {
    or_text(schema, &format!("One of the forms: {SCHEDULE_FORMS}."));
}
