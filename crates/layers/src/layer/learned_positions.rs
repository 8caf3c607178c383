//! Learned vectors of positions.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y_t = x_t + weight_t`: to each position of `[t, d]` its own learned vector (Gehring et al.,
/// "Convolutional Sequence to Sequence Learning", 2017). Samples may be shorter than `max_length`.
///
/// Parameter: `weight [max_length, d]`, standard normal at the start, as PyTorch's `Embedding`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LearnedPositions {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The most positions of a sample.
    pub max_length: usize,
    /// How the vectors begin.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

impl LearnedPositions {
    /// For samples of at most so many positions.
    pub fn new(max_length: usize) -> Self {
        LearnedPositions { name: None, max_length, weight_init: Initializer::Default }
    }
}

impl Layer for LearnedPositions {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [length, width] = positions(cx, x)?;
        if length > self.max_length {
            let wanted = format!("at least the {length} positions of the input");
            return Err(cx.option_error("max_length", wanted, self.max_length));
        }
        let init = self.weight_init.or(Initializer::normal(0.0, 1.0));
        let fan = Fan::dense(self.max_length, width);
        let table = cx.parameter("weight", &[self.max_length, width], init, fan)?;
        let rows = match cx.places(length) {
            length if length < self.max_length => cx.graph.slice_axis(table, 0, 0, length)?,
            _ => table,
        };
        let rows = cx.rows_in_place(rows)?;
        Ok(cx.graph.add(x, rows)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.outputs()
    }
}

/// The sizes of samples `[t, d]`.
pub(super) fn positions(cx: &BuildContext, x: Value) -> Result<[usize; 2], LayerError> {
    cx.expect_rank(x, 2, "[positions, features]")?;
    let dims = cx.dims(x);
    Ok([dims[1], dims[2]])
}
