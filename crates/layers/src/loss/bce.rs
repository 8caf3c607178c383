//! Binary cross-entropy of probabilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `-(t log x + (1 - t) log(1 - x))` over all elements, for probabilities `x` and targets `t`
/// in `[0, 1]`. Logarithms are at least -100, as in PyTorch, with a gradient of 0 where they are cut.
/// [`BceWithLogits`](super::BceWithLogits) is more exact. The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bce {
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

/// The least logarithm of a probability.
const LOWEST: f32 = -100.0;

impl Default for Bce {
    fn default() -> Self {
        Bce { reduction: Reduction::Mean }
    }
}

impl Loss for Bce {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        elementwise::build(cx, self.reduction, |g, x, target| {
            let lowest = g.constant(LOWEST)?;
            let one = g.constant(1.0)?;
            let log = g.log(x)?;
            let log = g.max(log, lowest)?;
            let opposite = g.neg(x)?;
            let other = g.log1p(opposite)?;
            let other = g.max(other, lowest)?;
            let yes = g.mul(target, log)?;
            let rest = g.sub(one, target)?;
            let no = g.mul(rest, other)?;
            let sum = g.add(yes, no)?;
            g.neg(sum)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
