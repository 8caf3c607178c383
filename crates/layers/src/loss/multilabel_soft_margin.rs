//! The mean logistic loss of several labels.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, class_weights, elementwise};
use crate::error::LayerError;

/// The mean over the samples of `-1/C sum_c w_c (t_c log s(x_c) + (1 - t_c) log s(-x_c))` for logits `x`,
/// targets `t` of 0 and 1 and the logistic function `s`; classes lie along the last axis. The target is
/// f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultilabelSoftMargin {
    /// One weight a class; default 1 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f32>>,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for MultilabelSoftMargin {
    fn default() -> Self {
        MultilabelSoftMargin { weight: None, reduction: Reduction::Mean }
    }
}

impl Loss for MultilabelSoftMargin {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        let classes = *dims.last().unwrap_or(&1);
        if dims.len() < 2 {
            let wanted = "logits of [batch, ..., classes]";
            return Err(LayerError::input("multilabel_soft_margin", wanted, format!("{dims:?}")));
        }
        let weight = class_weights("multilabel_soft_margin", self.weight.as_deref(), classes)?;
        let target = cx.target(&dims, DType::F32)?;
        let g = &mut *cx.graph;
        let mut losses = elementwise::binary_cross_entropy(g, output, target, None)?;
        if let Some(weight) = weight {
            let weight = g.constant_tensor(&[classes], weight)?;
            losses = g.mul(losses, weight)?;
        }
        let losses = g.mean(losses, &[dims.len() - 1], false)?;
        let reduced = cx.reduce(losses, self.reduction)?;
        let prediction = cx.graph.sigmoid(output)?;
        Ok(cx.finish(target, reduced, prediction))
    }

    fn task(&self) -> Task {
        Task::Binary
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
