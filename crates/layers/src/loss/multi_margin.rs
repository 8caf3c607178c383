//! A hinge between classes.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, class_weights, is_class, pick};
use crate::error::LayerError;

/// The mean over the samples of `1/C sum over c != y of w_y max(0, margin - x_y + x_c)^p` for scores `x`
/// and a label `y` (Crammer and Singer, "On the Algorithmic Implementation of Multiclass Kernel-based
/// Vector Machines", 2001). The output is `[batch, classes]`, the target i32 `[batch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiMargin {
    /// The exponent, 1 or 2; default 1.
    #[serde(default = "exponent")]
    pub p: u32,
    /// By how much the right class is to lead; default 1.
    #[serde(default = "one")]
    pub margin: f32,
    /// One weight a class; default 1 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f32>>,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn exponent() -> u32 {
    1
}

impl Default for MultiMargin {
    fn default() -> Self {
        MultiMargin { p: exponent(), margin: one(), weight: None, reduction: Reduction::Mean }
    }
}

impl MultiMargin {
    /// The weights of the classes.
    fn check(&self, classes: usize) -> Result<Option<&[f32]>, LayerError> {
        if !(1..=2).contains(&self.p) {
            return Err(LayerError::option("multi_margin", "p", "1 or 2", self.p));
        }
        if !self.margin.is_finite() {
            return Err(LayerError::option("multi_margin", "margin", "finite", self.margin));
        }
        class_weights("multi_margin", self.weight.as_deref(), classes)
    }
}

impl Loss for MultiMargin {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        let [batch, classes] = dims[..] else {
            let wanted = "scores of [batch, classes]";
            return Err(LayerError::input("multi_margin", wanted, format!("{dims:?}")));
        };
        let weight = self.check(classes)?;
        let target = cx.target(&[batch], DType::I32)?;
        let g = &mut *cx.graph;
        let column = g.reshape(target, &[batch, 1])?;
        let own = is_class(g, column, 1, classes)?;
        let right = pick(g, output, own, 1)?;
        let behind = g.sub(output, right)?;
        let short = g.offset(behind, self.margin)?;
        let mut losses = g.relu(short)?;
        if self.p == 2 {
            losses = g.square(losses)?;
        }
        let zero = g.constant(0.0)?;
        let losses = g.select(own, zero, losses)?;
        let mut losses = g.mean(losses, &[1], false)?;
        if let Some(weight) = weight {
            let weight = g.constant_tensor(&[classes], weight)?;
            let of_samples = g.gather(weight, target)?;
            losses = g.mul(losses, of_samples)?;
        }
        let reduced = cx.reduce(losses, self.reduction)?;
        let prediction = cx.graph.argmax(output, 1)?;
        Ok(cx.finish(target, reduced, prediction))
    }

    fn task(&self) -> Task {
        Task::Classify { axis: 1 }
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
