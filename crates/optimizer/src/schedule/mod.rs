//! Learning-rate schedules: pure functions of the step's number, computed on the host in f64.
//!
//! The learning rate is a scalar input of the step, so that no schedule ever recompiles.

mod cosine;
mod exact;
mod exponential;
mod forms;
mod horizon;
mod kind;
mod multi_step;
mod one_cycle;
mod parse;
mod plateau;
mod spec;
mod state;
mod step;
mod warmup;

pub use cosine::Cosine;
pub use exponential::Exponential;
pub use forms::schedule_forms;
pub use horizon::{Horizon, Leg, Per};
pub use multi_step::MultiStep;
pub use one_cycle::{AnnealStrategy, OneCycle};
pub use plateau::{PlateauMode, PlateauState, ReduceOnPlateau, ThresholdMode};
pub use spec::{Constant, ScheduleSpec};
pub use state::ScheduleState;
pub use step::StepDecay;
pub use warmup::LinearWarmup;

use crate::OptimizerError;
use crate::check::{Range, check};

/// A schedule of a training run.
///
/// ```
/// use onestep_optimizer::{Horizon, ScheduleSpec};
///
/// // Ten epochs of 100 steps: two to warm up, eight of a falling cosine.
/// let spec: ScheduleSpec = "warmup:2:0.1+cosine".parse()?;
/// let schedule = spec.build(0.5, Horizon::new(10, 100)?)?;
/// assert_eq!(schedule.lr(0), 0.05);
/// assert_eq!(schedule.lr(99), 0.05); // counts epochs: all steps of one are alike
/// assert_eq!(schedule.lr(200), 0.5);
/// assert!((schedule.lr(600) - 0.25).abs() < 1e-12); // half way down
/// # Ok::<(), onestep_optimizer::OptimizerError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    spec: ScheduleSpec,
    base_lr: f64,
    horizon: Horizon,
    plateau: Option<PlateauState>,
}

impl ScheduleSpec {
    /// The schedule of a training run that starts from the optimizer's `base_lr`.
    ///
    /// # Errors
    /// Those of [`ScheduleSpec::validate`], and a `base_lr` that is negative or not finite.
    pub fn build(&self, base_lr: f64, horizon: Horizon) -> Result<Schedule, OptimizerError> {
        check(self.name(), [("lr", base_lr, Range::NotNegative)])?;
        self.validate()?;
        let plateau = self.plateau().map(|plateau| plateau.start(base_lr));
        Ok(Schedule { spec: self.clone(), base_lr, horizon, plateau })
    }
}

impl Schedule {
    /// The learning rate of an optimizer step, counted from 0 over the whole run (the scalar
    /// `step` of the update graph is this plus 1). A schedule that counts epochs gives all steps
    /// of an epoch the same; [`Horizon`] says how long an epoch is.
    pub fn lr(&self, step: u64) -> f64 {
        let current = self.plateau.as_ref().map_or(self.base_lr, PlateauState::lr);
        self.spec.lr(current, self.horizon.at(step))
    }

    /// Reports a metric, such as the validation loss at the end of an epoch. Schedules that do
    /// not watch one ignore it. Returns whether the learning rate has been reduced.
    pub fn observe(&mut self, metric: f64) -> bool {
        match (self.spec.plateau(), &mut self.plateau) {
            (Some(plateau), Some(state)) => plateau.observe(state, metric),
            _ => false,
        }
    }

    /// What its user may not have meant, in the numbers of the run: a warm-up that is longer than
    /// the run, a fall that never comes, a cosine that rises again. Nothing where all is well.
    ///
    /// ```
    /// use onestep_optimizer::{Horizon, ScheduleSpec};
    ///
    /// let spec: ScheduleSpec = "step:30".parse()?;
    /// let warnings = spec.build(0.1, Horizon::new(10, 100)?)?.warnings();
    /// assert_eq!(
    ///     warnings,
    ///     ["schedule step: the learning rate first changes after 30 epochs, but the run has 10: it \
    ///       stays at 0.1"]
    /// );
    /// # Ok::<(), onestep_optimizer::OptimizerError>(())
    /// ```
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_of("the learning rate").into_iter().collect()
    }

    /// The same where it changes something else.
    pub(crate) fn warnings_of(&self, what: &str) -> Option<String> {
        let warning = self.spec.foresee(what, self.base_lr, self.horizon.at(0));
        warning.map(|warning| format!("schedule {}: {warning}", self.spec.name()))
    }

    /// Whether the schedule needs [`Schedule::observe`].
    pub fn watches_metric(&self) -> bool {
        self.plateau.is_some()
    }

    /// Its description.
    pub fn spec(&self) -> &ScheduleSpec {
        &self.spec
    }

    /// What a checkpoint must keep. Schedules that are functions of the step alone keep nothing.
    pub fn state(&self) -> ScheduleState {
        match &self.plateau {
            Some(state) => ScheduleState::ReduceOnPlateau(state.clone()),
            None => ScheduleState::Stateless {},
        }
    }

    /// The learning rate that it starts from.
    pub fn base_lr(&self) -> f64 {
        self.base_lr
    }

    /// Goes on from another learning rate: a plateau from that very rate, with what it knows of
    /// its metric; every other schedule as if it had started from it.
    ///
    /// # Errors
    /// A rate that is negative or not finite, and a schedule that has a rate of its own.
    pub fn set_base_lr(&mut self, lr: f64) -> Result<(), OptimizerError> {
        check(self.spec.name(), [("lr", lr, Range::NotNegative)])?;
        if let Some(own) = self.spec.own_lr() {
            let wanted = format!("left as it is, since the schedule's `max_lr` is {own}");
            return Err(OptimizerError::option(self.spec.name(), "lr", wanted, lr));
        }
        self.base_lr = lr;
        if let Some(plateau) = &mut self.plateau {
            plateau.restart_at(lr);
        }
        Ok(())
    }

    /// Goes on from the state of a checkpoint. A plateau that was saved under another learning rate
    /// of the optimizer goes on with the new one; its reductions were of the old.
    ///
    /// # Errors
    /// [`OptimizerError::ScheduleState`] when it was saved by another kind of schedule.
    pub fn restore(&mut self, state: ScheduleState) -> Result<(), OptimizerError> {
        let (wanted, got) = (self.state().kind(), state.kind());
        if wanted != got {
            return Err(OptimizerError::ScheduleState { wanted, got });
        }
        self.plateau = match state {
            ScheduleState::Stateless {} => None,
            ScheduleState::ReduceOnPlateau(state) => {
                let plateau = self.spec.plateau();
                plateau.map(|plateau| plateau.resume(state, self.base_lr))
            }
        };
        Ok(())
    }
}
