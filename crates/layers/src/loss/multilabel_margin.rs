//! A hinge between several labels and the rest.

use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, is_class, pick};
use crate::error::LayerError;

/// The mean over the samples of `1/C sum over the labels y and the other classes c of max(0, 1 - x_y + x_c)`
/// for scores `x`. The output is `[batch, classes]`; the target, i32 of that shape, has a sample's labels
/// first and -1 behind them: what follows the first negative number does not count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultilabelMargin {
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Default for MultilabelMargin {
    fn default() -> Self {
        MultilabelMargin { reduction: Reduction::Mean }
    }
}

/// 1 where a label counts, else 0, and labels with 0 in place of those that do not.
fn before_the_end(g: &mut Graph, target: Value) -> Result<(Value, Value), GraphError> {
    let numbers = g.cast(target, DType::F32)?;
    let zero = g.constant(0.0)?;
    let ended = g.lt(numbers, zero)?;
    // The number of ends so far, as a product with a triangle of ones.
    let classes = g.shape(target).dims()[1];
    let triangle: Vec<f32> =
        (0..classes * classes).map(|i| f32::from(u8::from(i / classes <= i % classes))).collect();
    let triangle = g.constant_tensor(&[classes, classes], &triangle)?;
    let ended = g.matmul(ended, triangle)?;
    let counts = g.eq(ended, zero)?;
    let labels = g.mul(numbers, counts)?;
    Ok((counts, g.cast(labels, DType::I32)?))
}

impl Loss for MultilabelMargin {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        let [batch, classes] = dims[..] else {
            let wanted = "scores of [batch, classes]";
            return Err(LayerError::input("multilabel_margin", wanted, format!("{dims:?}")));
        };
        let target = cx.target(&dims, DType::I32)?;
        let g = &mut *cx.graph;
        let (counts, labels) = before_the_end(g, target)?;
        // [batch, label, class]
        let counts = g.reshape(counts, &[batch, classes, 1])?;
        let column = g.reshape(labels, &[batch, classes, 1])?;
        let own = is_class(g, column, 2, classes)?;
        let others = g.reshape(output, &[batch, 1, classes])?;
        let scores = pick(g, others, own, 2)?;
        let own = g.mul(own, counts)?;
        let own = g.max_over(own, &[1], true)?;
        let behind = g.sub(others, scores)?;
        let short = g.offset(behind, 1.0)?;
        let short = g.relu(short)?;
        let one = g.constant(1.0)?;
        let rest = g.sub(one, own)?;
        let counted = g.mul(counts, rest)?;
        let losses = g.mul(short, counted)?;
        let losses = g.sum(losses, &[1], false)?;
        let losses = g.mean(losses, &[1], false)?;
        let reduced = cx.reduce(losses, self.reduction)?;
        Ok(cx.finish(target, reduced, output))
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
