//! Averages of the weights.

use std::str::FromStr;

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check, check_count};
use crate::{Horizon, OptimizerError, Per};

/// The scalar leaf with how much the new weights count in their average.
pub const AVERAGE: &str = "average";

/// An average of the weights beside them, to evaluate and predict with: state of the optimizer that
/// starts as a copy of the weights and moves towards them after each step,
/// `average + share * (weights - average)`. The share is a scalar of the step, so no choice here
/// recompiles or is computed on the device. In JSON: `{"ema": {"decay": 0.999}}`. Running statistics
/// are not averaged: evaluation uses those of training (PyTorch's `use_buffers=False` without
/// `update_bn`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// An exponential moving average (Polyak and Juditsky, 1992; `torch.optim.swa_utils` with
    /// `get_ema_multi_avg_fn`).
    Ema(Ema),
    /// The mean of the weights at some steps (Izmailov et al., 2018, "Averaging Weights Leads to
    /// Wider Optima and Better Generalization"; `torch.optim.swa_utils.AveragedModel`).
    Swa(Swa),
}

/// An exponential moving average of the weights after each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// How much of the average is kept.
    pub decay: f64,
    /// Whether less is kept at first: `min(decay, (1 + n) / (10 + n))` with `n` averaged before.
    pub warmup: bool,
}

impl Default for Ema {
    fn default() -> Self {
        Ema { decay: 0.999, warmup: false }
    }
}

/// The mean of the weights at the end of every so many epochs, or after every so many steps, all of
/// them counted alike. As a text `START[:EVERY]`, with `@step` behind it for steps:
///
/// ```
/// use onestep_optimizer::{Per, Swa};
///
/// let swa: Swa = "5".parse()?;
/// assert_eq!(swa, Swa { start: 5, every: 1, per: Per::Epoch });
/// let swa: Swa = "1000:50@step".parse()?;
/// assert_eq!(swa, Swa { start: 1000, every: 50, per: Per::Step });
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Swa {
    /// Units after which averaging begins.
    pub start: u64,
    /// Units from one averaging to the next.
    pub every: u64,
    /// The unit: by default epochs, at whose end PyTorch's users call `update_parameters`.
    pub per: Per,
}

impl Default for Swa {
    fn default() -> Self {
        Swa { start: 0, every: 1, per: Per::Epoch }
    }
}

impl Swa {
    fn share(self, step: u64, horizon: &Horizon) -> f64 {
        let every = self.every.max(1);
        let (begun, ended) = match self.per {
            Per::Step => (step, Some(step)),
            Per::Epoch => (horizon.epoch_of(step), horizon.ended(step)),
        };
        match ended.and_then(|ended| ended.checked_sub(self.start)) {
            Some(since) if since % every == 0 => 1.0 / ((since / every) as f64 + 1.0),
            _ if begun <= self.start => 1.0,
            _ => 0.0,
        }
    }
}

impl FromStr for Swa {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected START[:EVERY][@step|@epoch] in whole numbers, got `{text}`");
        let (numbers, per) = match text.split_once('@') {
            None => (text, Per::Epoch),
            Some((numbers, "epoch")) => (numbers, Per::Epoch),
            Some((numbers, "step")) => (numbers, Per::Step),
            Some(_) => return Err(wrong()),
        };
        let (start, every) = numbers.split_once(':').unwrap_or((numbers, "1"));
        let number = |text: &str| text.trim().parse().map_err(|_| wrong());
        Ok(Swa { start: number(start)?, every: number(every)?, per })
    }
}

impl Averaging {
    /// The kind of state: `ema` or `swa`.
    pub fn kind(&self) -> &'static str {
        match self {
            Averaging::Ema(_) => "ema",
            Averaging::Swa(_) => "swa",
        }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        match self {
            Averaging::Ema(ema) => check("ema", [("decay", ema.decay, Range::BelowOne)]),
            Averaging::Swa(swa) => check_count("swa", "every", swa.every),
        }
    }

    /// Whether it goes by epochs, whose steps only a [`Horizon`] knows.
    pub fn needs_epochs(&self) -> bool {
        matches!(self, Averaging::Swa(Swa { per: Per::Epoch, .. }))
    }

    /// How much the weights after a step count in the average: the scalar [`AVERAGE`] of that step,
    /// which is counted from 0 over the whole run. The first weights that count are the average, and
    /// before them it is the weights themselves, so that what is evaluated then is what is trained.
    pub fn share(&self, step: u64, horizon: &Horizon) -> f64 {
        match *self {
            Averaging::Ema(_) if step == 0 => 1.0,
            Averaging::Ema(Ema { decay, warmup: false }) => 1.0 - decay,
            Averaging::Ema(Ema { decay, warmup: true }) => {
                let before = step as f64;
                1.0 - decay.min((1.0 + before) / (10.0 + before))
            }
            Averaging::Swa(swa) => swa.share(step, horizon),
        }
    }

    /// The average after a step.
    pub(crate) fn average(
        self,
        g: &mut Graph,
        average: Value,
        weights: Value,
    ) -> Result<Value, GraphError> {
        let share = g.scalar(AVERAGE)?;
        let difference = g.sub(weights, average)?;
        let change = g.mul(difference, share)?;
        g.add(average, change)
    }
}
