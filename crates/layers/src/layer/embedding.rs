//! A table of vectors by index.

use onestep_engine::{DType, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = weight[x]`: i32 indices `[...]` to f32 vectors `[..., embedding_dim]`. An index outside the
/// table gives NaN; [`crate::Model::index_limit`] refuses one by name while it is on the host.
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
    /// How the vectors begin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

impl Embedding {
    /// A table of so many vectors of so many elements.
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        let weight_init = Initializer::Default;
        Embedding { name: None, num_embeddings, embedding_dim, weight_init }
    }
}

impl Layer for Embedding {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let x = match cx.graph.type_of(x).dtype {
            DType::I32 => x,
            DType::U8 => cx.graph.cast(x, DType::I32)?,
            dtype => {
                let wanted = "i32 indices (set the input's dtype to \"i32\")";
                return Err(cx.input_error(wanted, dtype));
            }
        };
        for (name, size) in
            [("num_embeddings", self.num_embeddings), ("embedding_dim", self.embedding_dim)]
        {
            if size == 0 {
                return Err(cx.option_error(name, "at least 1", 0));
            }
        }
        let dims = [self.num_embeddings, self.embedding_dim];
        let init = self.weight_init.or(Initializer::normal(0.0, 1.0));
        let fan = Fan::dense(self.num_embeddings, self.embedding_dim);
        let table = cx.parameter("weight", &dims, init, fan)?;
        Ok(cx.graph.gather(table, x)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
