//! A loss of one's own, written in the specification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;
use crate::formula;

/// The mean over all elements of a formula of the output `y` and the target `t`, as
/// `{"type": "formula", "loss": "abs(y - t) ^ 1.5"}`, with what [`Formula`](crate::Formula) has. The target is
/// f32 of the output's shape.
///
/// ```
/// use onestep_layers::LossSpec;
/// let loss: LossSpec = r#"{"type": "formula", "loss": "(y - t)^2 / (1 + (y - t)^2)"}"#.parse()?;
/// assert_eq!(loss.to_string(), "formula");
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormulaLoss {
    /// The loss of an element as a formula of `y`, the output, and `t`, the target.
    pub loss: String,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl FormulaLoss {
    /// The mean of the given formula.
    pub fn new(loss: impl Into<String>) -> Self {
        FormulaLoss { loss: loss.into(), reduction: Reduction::Mean }
    }
}

impl Loss for FormulaLoss {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let formula = formula::Formula::parse(&self.loss, &["y", "t"])
            .map_err(|misread| LayerError::option("formula", "loss", misread, &self.loss))?;
        elementwise::build(cx, self.reduction, |g, output, target| {
            let losses = formula.build(g, &[output, target])?;
            g.broadcast_like(losses, output)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
