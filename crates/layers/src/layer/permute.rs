//! The axes of each sample in another order.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// Axis `i` of the result is axis `dims[i]` of the input. As in PyTorch the batch is axis 0 and is
/// named too; here it stays the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axes of the input in the order of the output, the batch (0) first.
    pub dims: Vec<usize>,
}

impl Permute {
    /// To this order of axes, the batch (0) first.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Permute { name: None, dims: dims.into() }
    }
}

impl Layer for Permute {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let rank = cx.dims(x).len();
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if self.dims.first() != Some(&0) || !sorted.into_iter().eq(0..rank) {
            let wanted = format!("each axis from 0 to {} once, 0 first", rank - 1);
            return Err(cx.option_error("dims", wanted, format!("{:?}", self.dims)));
        }
        Ok(cx.graph.permute(x, &self.dims)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
