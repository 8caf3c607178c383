//! The logistic loss of labels 1 and -1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;
use crate::layer::log_sigmoid;

/// The mean of `log(1 + e^(-t x))` over all elements, for targets `t` of 1 and -1. The target is f32 of the
/// output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftMargin {
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for SoftMargin {
    fn default() -> Self {
        SoftMargin { reduction: Reduction::Mean }
    }
}

impl Loss for SoftMargin {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        elementwise::build(cx, self.reduction, |g, x, target| {
            let margin = g.mul(x, target)?;
            let log = log_sigmoid(g, margin)?;
            g.neg(log)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
