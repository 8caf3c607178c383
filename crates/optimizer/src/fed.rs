//! What the host feeds at each step beside the learning rate.

use crate::averaging::{AVERAGE, Averaging};
use crate::hyper::HYPERPARAMETERS;
use crate::rule::UpdateRule;
use crate::{Horizon, OptimizerError, Schedule, ScheduleSpec};

/// The scalars that an optimizer's schedules and its average want at each step.
///
/// ```
/// use onestep_optimizer::{Averaging, Ema, Horizon, Optimizer, OptimizerSpec};
///
/// let optimizer = Optimizer::from_spec("adamw".parse::<OptimizerSpec>()?)?
///     .with_schedule("weight_decay", "step:1:0.5".parse()?)?
///     .with_averaging(Averaging::Ema(Ema { decay: 0.75, warmup: false }))?;
/// let fed = optimizer.fed(&Horizon::new(3, 10)?)?;
/// let scalars: Vec<_> = fed.at(10).collect();
/// assert_eq!(scalars, [("weight_decay", 0.005), ("average", 0.25)]);
/// # Ok::<(), onestep_optimizer::OptimizerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fed {
    schedules: Vec<(&'static str, Schedule)>,
    averaging: Option<Averaging>,
    horizon: Horizon,
}

impl Fed {
    pub(crate) fn new(
        rule: &dyn UpdateRule,
        schedules: &[(&'static str, ScheduleSpec)],
        averaging: Option<Averaging>,
        horizon: &Horizon,
    ) -> Result<Self, OptimizerError> {
        let built = schedules.iter().map(|(name, spec)| {
            let start = start_of(rule, name).unwrap_or(0.0);
            Ok((*name, spec.build(start, horizon.clone())?))
        });
        let schedules = built.collect::<Result<_, OptimizerError>>()?;
        Ok(Fed { schedules, averaging, horizon: horizon.clone() })
    }

    /// The name and the number of each scalar of a step, which is counted from 0 over the whole run.
    /// Allocates nothing.
    pub fn at(&self, step: u64) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let scheduled = self.schedules.iter().map(move |(name, s)| (*name, s.lr(step)));
        let average = self.averaging.map(|averaging| averaging.share(step, &self.horizon));
        scheduled.chain(average.map(|share| (AVERAGE, share)))
    }

    /// What the user of the schedules may not have meant, as [`Schedule::warnings`] has it.
    pub fn warnings(&self) -> Vec<String> {
        let schedules = self.schedules.iter();
        schedules.filter_map(|(name, schedule)| schedule.warnings_of(name)).collect()
    }
}

/// The number that an option of a rule has without a schedule.
pub(crate) fn start_of(rule: &dyn UpdateRule, name: &str) -> Option<f64> {
    if name == "weight_decay" {
        return Some(rule.weight_decay());
    }
    let (_, options) = rule.options()?;
    match name {
        "beta1" => options.get("betas")?.get(0)?.as_f64(),
        "beta2" => options.get("betas")?.get(1)?.as_f64(),
        other => options.get(other)?.as_f64(),
    }
}

/// The name of an option that a schedule may change.
pub(crate) fn check_hyper(
    rule: &dyn UpdateRule,
    name: &str,
    schedule: &ScheduleSpec,
) -> Result<&'static str, OptimizerError> {
    schedule.validate()?;
    let mut known = HYPERPARAMETERS.into_iter().filter(|name| start_of(rule, name).is_some());
    let Some(found) = known.clone().find(|known| *known == name) else {
        let known = known.by_ref().collect::<Vec<_>>().join(", ");
        let (rule, name) = (rule.name().to_owned(), name.to_owned());
        return Err(OptimizerError::UnknownHyperparameter { rule, name, known });
    };
    if schedule.plateau().is_some() {
        let wanted = "a schedule that goes by the step alone";
        return Err(OptimizerError::option(rule.name(), found, wanted, schedule.name()));
    }
    if start_of(rule, found) == Some(0.0) {
        return Err(OptimizerError::option(rule.name(), found, "above 0 to be scheduled", 0.0));
    }
    Ok(found)
}
