//! The negative log-likelihood of labels.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cross_entropy::without;
use super::{Loss, LossContext, LossValues, Reduction, Task, class_weights, is_class, pick};
use crate::error::LayerError;

/// The weighted mean of `-x_y` for logarithms `x` of probabilities, such as those of
/// [`LogSoftmax`](crate::LogSoftmax), and a label `y`: the sum of the `-w_y x_y` divided by that of the
/// `w_y`, as in PyTorch. The output is `[n, classes]` or `[n, classes, ...]`; the target is i32 `[n]` or
/// `[n, ...]`. Labels equal to `ignore_index` do not count; other labels outside the classes give NaN.
/// Where nothing is left that counts the mean is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nll {
    /// The label that does not count; default -100.
    #[serde(default = "ignored")]
    pub ignore_index: i32,
    /// One weight a class; default 1 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f32>>,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn ignored() -> i32 {
    -100
}

impl Default for Nll {
    fn default() -> Self {
        Nll { ignore_index: ignored(), weight: None, reduction: Reduction::Mean }
    }
}

impl Loss for Nll {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        if dims.len() < 2 {
            let wanted = "logarithms of [batch, classes] or [batch, classes, ...]";
            return Err(LayerError::input("nll", wanted, format!("{dims:?}")));
        }
        let classes = dims[1];
        let weight = class_weights("nll", self.weight.as_deref(), classes)?;
        let label_dims = [&dims[..1], &dims[2..]].concat();
        let target = cx.target(&label_dims, DType::I32)?;
        let g = &mut *cx.graph;
        let (labels, kept) = without(g, target, self.ignore_index)?;
        let column = g.reshape(labels, &[&dims[..1], &[1], &dims[2..]].concat())?;
        let own = is_class(g, column, 1, classes)?;
        let picked = pick(g, output, own, 1)?;
        let picked = g.reshape(picked, &label_dims)?;
        let losses = g.neg(picked)?;
        let mut weights = kept;
        if let Some(weight) = weight {
            let weight = g.constant_tensor(&[classes], weight)?;
            let of_labels = g.gather(weight, labels)?;
            weights = g.mul(weights, of_labels)?;
        }
        if let Some(samples) = cx.weights_like(&label_dims)? {
            weights = cx.graph.mul(weights, samples)?;
        }
        let g = &mut *cx.graph;
        // Chosen rather than multiplied: what is ignored may be infinite.
        let zero = g.constant(0.0)?;
        let losses = g.select(kept, losses, zero)?;
        let losses = g.mul(losses, weights)?;
        let reduced = cx.divide(losses, weights, self.reduction)?;
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
