//! The mean squared error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `(output - target)^2` over all elements. The target is f32 of the output's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mse {
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Loss for Mse {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        elementwise::build(cx, self.reduction, |g, output, target| {
            let error = g.sub(output, target)?;
            g.square(error)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
