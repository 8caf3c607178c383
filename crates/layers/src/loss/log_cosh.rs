//! The logarithm of the hyperbolic cosine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;
use crate::layer::log_sigmoid;

/// The mean of `log cosh(output - target)`, a smooth absolute error, computed as `a + log(1 + e^(-2a)) -
/// log 2` of the distance `a`, which does not overflow. The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogCosh {
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for LogCosh {
    fn default() -> Self {
        LogCosh { reduction: Reduction::Mean }
    }
}

impl Loss for LogCosh {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        elementwise::build(cx, self.reduction, |g, output, target| {
            let error = g.sub(output, target)?;
            let twice = g.scale(error, 2.0)?;
            // log cosh e = log(1 + e^(2e)) - e - log 2, and the first is 2e's softplus.
            let opposite = g.neg(twice)?;
            let log = log_sigmoid(g, opposite)?;
            let sum = g.add(log, error)?;
            let sum = g.neg(sum)?;
            g.offset(sum, -std::f32::consts::LN_2)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
