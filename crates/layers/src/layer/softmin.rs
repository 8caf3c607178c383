//! Softmax of the negative.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y_i = e^-x_i / sum_j e^-x_j` over one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Softmin {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, the batch being 0; negative ones count from the end. Default -1.
    pub dim: isize,
}

impl Default for Softmin {
    fn default() -> Self {
        Softmin::new(-1)
    }
}

impl Softmin {
    /// Over the given axis, the batch being 0; negative ones count from the end.
    pub fn new(dim: isize) -> Self {
        Softmin { name: None, dim }
    }
}

impl Layer for Softmin {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let axis = cx.sample_axis(x, "dim", self.dim)?;
        let negative = cx.graph.neg(x)?;
        Ok(cx.graph.softmax(negative, axis)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(6)
    }
}
