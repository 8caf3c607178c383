//! The mean squared error.

use onestep_engine::{Graph, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossValues, Reduction, elementwise};
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
    fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        elementwise::build(g, output, self.reduction, |g, output, target| {
            let error = g.sub(output, target)?;
            g.square(error)
        })
    }
}
