//! Binary cross-entropy of logits.

use onestep_engine::{Graph, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `-(w t log s(x) + (1 - t) log(1 - s(x)))` over all elements, for logits `x`, targets
/// `t` in `[0, 1]`, the logistic function `s` and a weight `w` of the positive target. It is
/// computed as `(1 - t) x - (1 + (w - 1) t) log s(x)` with `log s(x) = min(x, 0) -
/// log(1 + e^-|x|)`, which does not overflow. The target is f32 of the output's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BceWithLogits {
    /// The weight of positive targets: one number for each element of the output's last axis, or a
    /// single one for all. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pos_weight: Option<Vec<f32>>,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl BceWithLogits {
    /// The weight as a value that broadcasts over the output.
    fn weight(&self, g: &mut Graph, output: Value) -> Result<Option<Value>, LayerError> {
        let Some(weight) = &self.pos_weight else { return Ok(None) };
        let last = g.shape(output).dims().last().copied().unwrap_or(1);
        let name = "bce_with_logits";
        if weight.len() != 1 && weight.len() != last {
            let wanted = format!("1 number or one for each of {last} outputs");
            return Err(LayerError::option(name, "pos_weight", wanted, weight.len()));
        }
        if let Some(bad) = weight.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(LayerError::option(name, "pos_weight", "finite and at least 0", bad));
        }
        Ok(Some(g.constant_tensor(&[weight.len()], weight)?))
    }
}

impl Loss for BceWithLogits {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let output = cx.output();
        let weight = self.weight(cx.graph, output)?;
        let mut values = elementwise::build(cx, self.reduction, |g, x, target| {
            elementwise::binary_cross_entropy(g, x, target, weight)
        })?;
        values.prediction = cx.graph.sigmoid(output)?;
        Ok(values)
    }

    fn task(&self) -> Task {
        Task::Binary
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
