//! A hinge on the cosine between two vectors.

use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, pairs};
use crate::error::LayerError;

/// What PyTorch adds to squared lengths.
const EPSILON: f32 = 1e-12;

/// The mean of `1 - cos(a, b)` where the target is 1 and `max(0, cos(a, b) - margin)` where it is -1, of two
/// outputs `[batch, ..., features]`; any other target counts as 0. With `e = 1e-12`,
/// `cos(a, b) = a.b / sqrt((a.a + e)(b.b + e))` as PyTorch has it. The target is f32 `[batch, ...]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineEmbedding {
    /// The cosine that is small enough, from -1 to 1; default 0.
    #[serde(default)]
    pub margin: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn length(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let square = pairs::dot(g, x, x)?;
    let square = g.offset(square, EPSILON)?;
    g.sqrt(square)
}

impl Loss for CosineEmbedding {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let [a, b] = cx.outputs_of("cosine_embedding", ["a", "b"])?;
        pairs::check_rows(cx, "cosine_embedding", &[b])?;
        if !(-1.0..=1.0).contains(&self.margin) {
            let wanted = "from -1 to 1";
            return Err(LayerError::option("cosine_embedding", "margin", wanted, self.margin));
        }
        let dims = cx.dims();
        let target = cx.target(&dims[..dims.len() - 1], DType::F32)?;
        let g = &mut *cx.graph;
        let product = pairs::dot(g, a, b)?;
        // Divided by each length in turn: the product of both may leave f32.
        let (of_a, of_b) = (length(g, a)?, length(g, b)?);
        let cosine = g.div(product, of_a)?;
        let cosine = g.div(cosine, of_b)?;
        let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
        let minus = g.neg(one)?;
        let apart = g.sub(one, cosine)?;
        let close = g.offset(cosine, -self.margin)?;
        let close = g.relu(close)?;
        let (same, other) = (g.eq(target, one)?, g.eq(target, minus)?);
        let close = g.select(other, close, zero)?;
        let each = g.select(same, apart, close)?;
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(target, reduced, cosine))
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
