//! The logarithm of softmax.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y_i = x_i - log(sum_j e^x_j)` over one axis, computed from the distance to the largest element so that
/// nothing overflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSoftmax {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, the batch being 0; negative ones count from the end. Default -1.
    pub dim: isize,
}

impl Default for LogSoftmax {
    fn default() -> Self {
        LogSoftmax::new(-1)
    }
}

impl LogSoftmax {
    /// Over the given axis, the batch being 0; negative ones count from the end.
    pub fn new(dim: isize) -> Self {
        LogSoftmax { name: None, dim }
    }
}

impl Layer for LogSoftmax {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let axis = cx.sample_axis(x, "dim", self.dim)?;
        Ok(cx.graph.log_softmax(x, axis)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5)
    }
}
