//! Huber's loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `a^2 / 2` where `a = |output - target|` is at most `delta`, and
/// `delta (a - delta / 2)` beyond (Huber, "Robust Estimation of a Location Parameter", 1964). The
/// target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Huber {
    /// Where the parabola ends; above 0, default 1.
    #[serde(default = "one")]
    pub delta: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

pub(super) fn one() -> f32 {
    1.0
}

impl Default for Huber {
    fn default() -> Self {
        Huber::new(1.0)
    }
}

impl Huber {
    /// With the given `delta` and the mean.
    pub fn new(delta: f32) -> Self {
        Huber { delta, reduction: Reduction::Mean }
    }
}

impl Loss for Huber {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let delta = self.delta;
        if !(delta.is_finite() && delta > 0.0) {
            return Err(LayerError::option("huber", "delta", "finite and above 0", delta));
        }
        elementwise::build(cx, self.reduction, |g, output, target| {
            let distance = elementwise::distance(g, output, target)?;
            elementwise::huber(g, distance, delta, 1.0)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
