//! A hinge for distances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `x` where the target is 1 and `max(0, margin - x)` where it is -1, for distances `x`
/// (Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", 2006, without the
/// squares). The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HingeEmbedding {
    /// How far apart is far enough; default 1.
    #[serde(default = "one")]
    pub margin: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for HingeEmbedding {
    fn default() -> Self {
        HingeEmbedding { margin: one(), reduction: Reduction::Mean }
    }
}

impl Loss for HingeEmbedding {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let margin = self.margin;
        if !margin.is_finite() {
            return Err(LayerError::option("hinge_embedding", "margin", "finite", margin));
        }
        elementwise::build(cx, self.reduction, |g, x, target| {
            let (margin, zero, one) = (g.constant(margin)?, g.constant(0.0)?, g.constant(1.0)?);
            let short = g.sub(margin, x)?;
            let short = g.relu(short)?;
            let same = g.eq(target, one)?;
            let near = g.select(same, zero, short)?;
            let minus = g.neg(one)?;
            let apart = g.eq(target, minus)?;
            let far = g.select(apart, zero, x)?;
            g.add(near, far)
        })
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
