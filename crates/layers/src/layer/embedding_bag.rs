//! What the vectors of several indices make together.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::embedding::{is_two, two};
use super::table::{Found, Table};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// How the vectors of a bag become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BagMode {
    /// Their sum.
    Sum,
    /// Their mean.
    #[default]
    Mean,
    /// The largest of each element.
    Max,
}

/// The sum, mean or maximum of `weight[i]` over the indices `i` of each bag: i32 `[batch, ..., length]` to f32
/// `[batch, ..., embedding_dim]`. Bags have one length; shorter ones are padded with `padding_idx`, which counts
/// in none of the three, in place of PyTorch's offsets. A bag of padding alone gives 0.
///
/// With mode `sum` a second input, f32 of the shape of the indices, has a factor for each.
///
/// Parameter: `weight [num_embeddings, embedding_dim]`, standard normal at the start; the row of the padding 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingBag {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many vectors there are.
    pub num_embeddings: usize,
    /// The length of each.
    pub embedding_dim: usize,
    /// How those of a bag become one: `mean` (default), `sum` or `max`.
    #[serde(default)]
    pub mode: BagMode,
    /// The index of what pads; a negative one counts from the end. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_idx: Option<isize>,
    /// The largest norm of a row that is looked up; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f32>,
    /// The power of that norm; default 2.
    #[serde(default = "two", skip_serializing_if = "is_two")]
    pub norm_type: f32,
    /// Whether the gradient of a row is divided by how often a batch has its index, which mode `max` refuses;
    /// default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scale_grad_by_freq: bool,
    /// How the vectors begin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

impl EmbeddingBag {
    /// A table of so many vectors of so many elements, of which a bag has the mean.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        EmbeddingBag {
            name: None,
            num_embeddings,
            embedding_dim,
            mode: BagMode::Mean,
            padding_idx: None,
            max_norm: None,
            norm_type: two(),
            scale_grad_by_freq: false,
            weight_init: Initializer::Default,
        }
    }

    fn look_up(&self, cx: &mut BuildContext, x: Value) -> Result<Found, LayerError> {
        if self.scale_grad_by_freq && self.mode == BagMode::Max {
            return Err(cx.option_error("scale_grad_by_freq", "false with mode max", true));
        }
        if cx.graph.shape(x).rank() < 2 {
            return Err(cx.input_error("bags of [..., length] a sample", cx.graph.type_of(x)));
        }
        let table = Table {
            num_embeddings: self.num_embeddings,
            embedding_dim: self.embedding_dim,
            padding_idx: self.padding_idx,
            max_norm: self.max_norm,
            norm_type: self.norm_type,
            scale_grad_by_freq: self.scale_grad_by_freq,
            weight_init: &self.weight_init,
        };
        table.look_up(cx, x)
    }

    /// One vector of those along the axis before the last.
    fn join(&self, cx: &mut BuildContext, found: &Found) -> Result<Value, LayerError> {
        let g = &mut cx.graph;
        let axis = g.shape(found.rows).rank() - 2;
        let length = g.shape(found.rows).dims()[axis];
        let nothing =
            g.constant(if self.mode == BagMode::Max { f32::NEG_INFINITY } else { 0.0 })?;
        let rows = match found.padding {
            Some(padding) => g.select(padding, nothing, found.rows)?,
            None => found.rows,
        };
        let kept = match found.padding {
            Some(padding) => {
                let padded = g.sum(padding, &[axis], false)?;
                let all = g.constant(length as f32)?;
                Some(g.sub(all, padded)?)
            }
            None => None,
        };
        Ok(match (self.mode, kept) {
            (BagMode::Sum, _) => g.sum(rows, &[axis], false)?,
            (BagMode::Mean, None) => g.mean(rows, &[axis], false)?,
            (BagMode::Mean, Some(kept)) => {
                let (sum, one) = (g.sum(rows, &[axis], false)?, g.constant(1.0)?);
                let count = g.max(kept, one)?;
                g.div(sum, count)?
            }
            (BagMode::Max, None) => g.max_over(rows, &[axis], false)?,
            (BagMode::Max, Some(kept)) => {
                let (largest, zero) = (g.max_over(rows, &[axis], false)?, g.constant(0.0)?);
                let any = g.gt(kept, zero)?;
                g.select(any, largest, zero)?
            }
        })
    }
}

impl Layer for EmbeddingBag {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let found = self.look_up(cx, x)?;
        self.join(cx, &found)
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let &[x, weights] = inputs else {
            let x = cx.one(inputs)?;
            return Ok(vec![self.build(cx, x)?]);
        };
        if self.mode != BagMode::Sum {
            let wanted = "one input, or mode sum for one with a factor for each index";
            return Err(cx.input_error(wanted, "2 of them"));
        }
        cx.expect_f32(weights)?;
        if cx.dims(weights) != cx.dims(x) {
            let wanted = format!("factors of {:?}, as there are indices", cx.dims(x));
            return Err(cx.input_error(wanted, cx.graph.shape(weights)));
        }
        let mut found = self.look_up(cx, x)?;
        let wide = [cx.dims(x), vec![1]].concat();
        let weights = cx.graph.reshape(weights, &wide)?;
        found.rows = cx.graph.mul(found.rows, weights)?;
        Ok(vec![self.join(cx, &found)?])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs() * self.embedding_dim as u64
    }
}
