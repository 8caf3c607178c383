//! Averages of the weights.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OptimizerError;
use crate::check::{Range, check, check_count};

/// The scalar leaf with how much the new weights count in their average.
pub const AVERAGE: &str = "average";

/// An average of the weights beside them, to evaluate and predict with: state of the optimizer that
/// starts as a copy of the weights and moves towards them after each step,
/// `average + share * (weights - average)`. The share is a scalar of the step, so no choice here
/// recompiles or is computed on the device. In JSON: `{"ema": {"decay": 0.999}}`.
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

/// The mean of the weights at every so many steps, all of them counted alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Swa {
    /// Steps after which averaging begins.
    pub start: u64,
    /// Steps from one averaging to the next.
    pub every: u64,
}

impl Default for Swa {
    fn default() -> Self {
        Swa { start: 0, every: 1 }
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

    /// How much the weights after a step count in the average: the scalar [`AVERAGE`] of that step,
    /// which is counted from 0 over the whole run. The first weights that count are the average.
    pub fn share(&self, step: u64) -> f64 {
        match *self {
            Averaging::Ema(_) if step == 0 => 1.0,
            Averaging::Ema(Ema { decay, warmup: false }) => 1.0 - decay,
            Averaging::Ema(Ema { decay, warmup: true }) => {
                let before = step as f64;
                1.0 - decay.min((1.0 + before) / (10.0 + before))
            }
            Averaging::Swa(Swa { start, every }) => match step.checked_sub(start) {
                Some(since) if since % every.max(1) == 0 => {
                    1.0 / ((since / every.max(1)) as f64 + 1.0)
                }
                _ => 0.0,
            },
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
