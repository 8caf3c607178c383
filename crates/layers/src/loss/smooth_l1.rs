//! The smooth absolute error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `a^2 / (2 beta)` where `a = |output - target|` is at most `beta`, and `a - beta / 2`
/// beyond (Girshick, "Fast R-CNN", 2015): Huber's loss divided by `beta`. The target is f32 of the
/// output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmoothL1 {
    /// Where the parabola ends; at least 0 (which gives the absolute error), default 1.
    #[serde(default = "one")]
    pub beta: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for SmoothL1 {
    fn default() -> Self {
        SmoothL1::new(1.0)
    }
}

impl SmoothL1 {
    /// With the given `beta` and the mean.
    pub fn new(beta: f32) -> Self {
        SmoothL1 { beta, reduction: Reduction::Mean }
    }
}

impl Loss for SmoothL1 {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let beta = self.beta;
        if !(beta.is_finite() && beta >= 0.0) {
            return Err(LayerError::option("smooth_l1", "beta", "finite and at least 0", beta));
        }
        elementwise::build(cx, self.reduction, |g, output, target| {
            let distance = elementwise::distance(g, output, target)?;
            // Subnormal numbers count as zero while a step runs.
            if beta < f32::MIN_POSITIVE {
                return Ok(distance);
            }
            elementwise::huber(g, distance, beta, beta)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
