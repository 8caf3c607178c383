//! The negative log-likelihood of counts.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `e^x - t x` over all elements, for the logarithm `x` of a Poisson distribution's rate and a
/// count `t`; without `log_input` of `x - t log(x + eps)` for the rate itself. With `full` Stirling's
/// `t log t - t + log(2 pi t)/2` is added for counts above 1. The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoissonNll {
    /// Whether the output is the logarithm of the rate; default true.
    #[serde(default = "yes")]
    pub log_input: bool,
    /// Whether the term that depends on the target alone is added; default false.
    #[serde(default)]
    pub full: bool,
    /// Added to the rate in its logarithm; at least 0, default 1e-8.
    #[serde(default = "eps")]
    pub eps: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn yes() -> bool {
    true
}

fn eps() -> f32 {
    1e-8
}

impl Default for PoissonNll {
    fn default() -> Self {
        PoissonNll { log_input: true, full: false, eps: eps(), reduction: Reduction::Mean }
    }
}

/// `loss + t log t - t + log(2 pi t)/2` for `t > 1`.
fn add_stirling(g: &mut Graph, loss: Value, t: Value) -> Result<Value, GraphError> {
    let one = g.constant(1.0)?;
    let large = g.gt(t, one)?;
    // Where it does not count its logarithm is 0, not that of 0.
    let t = g.select(large, t, one)?;
    let log = g.log(t)?;
    let entropy = g.mul(t, log)?;
    let entropy = g.sub(entropy, t)?;
    let half = g.scale(log, 0.5)?;
    let term = g.add(entropy, half)?;
    let term = g.offset(term, 0.5 * std::f32::consts::TAU.ln())?;
    let term = g.mul(large, term)?;
    g.add(loss, term)
}

impl Loss for PoissonNll {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            return Err(LayerError::option(
                "poisson_nll",
                "eps",
                "finite and at least 0",
                self.eps,
            ));
        }
        elementwise::build(cx, self.reduction, |g, x, target| {
            let (rate, log) = match self.log_input {
                true => (g.exp(x)?, x),
                false => {
                    let above = g.offset(x, self.eps)?;
                    (x, g.log(above)?)
                }
            };
            let likely = g.mul(target, log)?;
            let loss = g.sub(rate, likely)?;
            if self.full { add_stirling(g, loss, target) } else { Ok(loss) }
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
