//! A hinge between two scores.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, pairs};
use crate::error::LayerError;

/// The mean of `max(0, margin - t (a - b))` of two outputs `a` and `b`: the target, f32 of their shape, is 1
/// where `a` should be the larger one and -1 where `b` should.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarginRanking {
    /// How much larger is enough; default 0.
    #[serde(default)]
    pub margin: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Loss for MarginRanking {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let [a, b] = cx.outputs_of("margin_ranking", ["a", "b"])?;
        pairs::check_same(cx, "margin_ranking", &[b])?;
        if !self.margin.is_finite() {
            return Err(LayerError::option("margin_ranking", "margin", "finite", self.margin));
        }
        let target = cx.target(&cx.dims(), DType::F32)?;
        let g = &mut *cx.graph;
        let lead = g.sub(a, b)?;
        let signed = g.mul(target, lead)?;
        let margin = g.constant(self.margin)?;
        let short = g.sub(margin, signed)?;
        let each = g.relu(short)?;
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(target, reduced, lead))
    }

    fn task(&self) -> Task {
        Task::Unmeasured
    }

    fn most_outputs(&self) -> usize {
        2
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
