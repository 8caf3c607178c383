//! A table of vectors by index.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::table::Table;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// `y = weight[x]`: i32 indices `[...]` to f32 vectors `[..., embedding_dim]`. An index outside the
/// table gives NaN; [`crate::Model::index_limit`] refuses one by name while it is on the host.
///
/// The row of `padding_idx` begins at 0 and has no gradient. With `max_norm` the rows that a batch looks up are
/// first made no longer than that, in the table itself where the step trains. Both need a device that can hold a
/// gradient back, which Metal cannot in training.
///
/// Parameter: `weight [num_embeddings, embedding_dim]`, standard normal at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many vectors there are.
    pub num_embeddings: usize,
    /// The length of each.
    pub embedding_dim: usize,
    /// The index of what pads, whose row stays as it is; a negative one counts from the end. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_idx: Option<isize>,
    /// The largest norm of a row that is looked up; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_norm: Option<f32>,
    /// The power of that norm; default 2.
    #[serde(default = "two", skip_serializing_if = "is_two")]
    pub norm_type: f32,
    /// Whether the gradient of a row is divided by how often a batch has its index; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scale_grad_by_freq: bool,
    /// How the vectors begin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

pub(super) fn two() -> f32 {
    2.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
pub(super) fn is_two(power: &f32) -> bool {
    *power == 2.0
}

impl Embedding {
    /// A table of so many vectors of so many elements.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        Embedding {
            name: None,
            num_embeddings,
            embedding_dim,
            padding_idx: None,
            max_norm: None,
            norm_type: two(),
            scale_grad_by_freq: false,
            weight_init: Initializer::Default,
        }
    }
}

impl Layer for Embedding {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let table = Table {
            num_embeddings: self.num_embeddings,
            embedding_dim: self.embedding_dim,
            padding_idx: self.padding_idx,
            max_norm: self.max_norm,
            norm_type: self.norm_type,
            scale_grad_by_freq: self.scale_grad_by_freq,
            weight_init: &self.weight_init,
        };
        Ok(table.look_up(cx, x)?.rows)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
