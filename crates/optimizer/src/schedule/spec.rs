//! Schedules as configuration.

use onestep_base::registry;
use onestep_base::schema::or_text;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::forms::schedule_forms;
use super::horizon::Clock;
use super::kind::Kind;
use super::{
    Cosine, Exponential, LinearWarmup, MultiStep, OneCycle, Per, PlateauMode, ReduceOnPlateau,
    StepDecay,
};
use crate::OptimizerError;

/// The learning rate stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constant {}

impl Kind for Constant {
    fn validate(&self) -> Result<(), OptimizerError> {
        Ok(())
    }

    fn per(&self) -> Per {
        Per::Epoch
    }

    fn needs_epochs(&self) -> bool {
        false
    }

    fn lr(&self, base: f64, _: Clock<'_>) -> f64 {
        base
    }

    fn foresee(&self, _: &str, _: f64, _: Clock<'_>) -> Option<String> {
        None
    }
}

registry! {
    kind = "schedule", plural = "schedules", form = text_or_object;
    /// A schedule with its options, which have the names and the defaults of PyTorch. In JSON it is
    /// an object with a `type`, or the text of the command line ([`schedule_forms`]).
    ///
    /// A schedule says what it counts by its option `per`, `"epoch"` (passes through the data) or `"step"`
    /// (updates of the optimizer, however many batches make one): by default epochs, and updates for
    /// [`OneCycle`], as PyTorch's are stepped.
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
    pub enum ScheduleSpec: Kind {
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
        self.inner().validate()
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
        self.inner().per()
    }

    /// The part that watches a metric.
    pub fn plateau(&self) -> Option<&ReduceOnPlateau> {
        self.inner().plateau()
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
        self.inner().own_lr()
    }

    /// Whether the learning rate depends on how many steps an epoch has, or the run.
    pub fn needs_epochs(&self) -> bool {
        self.inner().needs_epochs()
    }

    /// The learning rate, where `base` is that of the optimizer, or of the plateau's state.
    pub(super) fn lr(&self, base: f64, clock: Clock<'_>) -> f64 {
        self.inner().lr(base, clock)
    }

    /// What its user may not have meant of `what`, in the numbers of the run.
    pub(super) fn foresee(&self, what: &str, base: f64, clock: Clock<'_>) -> Option<String> {
        self.inner().foresee(what, base, clock)
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
    or_text(schema, &format!("One of the forms: {}.", schedule_forms()));
}
