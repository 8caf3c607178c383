//! The overlap of two regions, with a price for each kind of error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, overlap};
use crate::error::LayerError;

/// The mean over the samples of `1 - (b + smooth) / (b + alpha f + beta m + smooth)`, for the overlap `b =
/// sum(p t)`, false alarms `f = sum(p (1 - t))` and misses `m = sum((1 - p) t)` of the probabilities `p` of
/// logits and targets `t` in `[0, 1]`, with sums over all elements of a sample (Salehi et al., "Tversky
/// Loss Function for Image Segmentation", 2017). The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tversky {
    /// The price of false alarms; at least 0, default 0.5.
    #[serde(default = "half")]
    pub alpha: f32,
    /// The price of misses; at least 0, default 0.5.
    #[serde(default = "half")]
    pub beta: f32,
    /// Added above and below, for samples without anything; above 0, default 1.
    #[serde(default = "one")]
    pub smooth: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn half() -> f32 {
    0.5
}

impl Default for Tversky {
    fn default() -> Self {
        Tversky { alpha: half(), beta: half(), smooth: one(), reduction: Reduction::Mean }
    }
}

impl Loss for Tversky {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        for (option, price) in [("alpha", self.alpha), ("beta", self.beta)] {
            if !(price.is_finite() && price >= 0.0) {
                return Err(LayerError::option("tversky", option, "finite and at least 0", price));
            }
        }
        if !(self.smooth.is_finite() && self.smooth > 0.0) {
            return Err(LayerError::option("tversky", "smooth", "finite and above 0", self.smooth));
        }
        overlap::build(cx, [self.alpha, self.beta, self.smooth], self.reduction)
    }

    fn task(&self) -> Task {
        Task::Binary
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
