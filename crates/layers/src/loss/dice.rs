//! The overlap of two regions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, overlap};
use crate::error::LayerError;

/// The mean over the samples of `1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)`, for the
/// probabilities `p` of logits and targets `t` in `[0, 1]`, with sums over all elements of a sample
/// (Milletari et al., "V-Net", 2016, without the squares). The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dice {
    /// Added above and below, for samples without anything; above 0, default 1.
    #[serde(default = "one")]
    pub smooth: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for Dice {
    fn default() -> Self {
        Dice { smooth: one(), reduction: Reduction::Mean }
    }
}

impl Loss for Dice {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        if !(self.smooth.is_finite() && self.smooth > 0.0) {
            return Err(LayerError::option("dice", "smooth", "finite and above 0", self.smooth));
        }
        // Both are twice what an overlap has with a half for each kind of error.
        overlap::build(cx, [0.5, 0.5, self.smooth / 2.0], self.reduction)
    }

    fn task(&self) -> Task {
        Task::Binary
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
