//! Several axes as one.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// All axes from `start_dim` on as one: `[n, c, h, w] -> [n, c h w]` with the default of 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Flatten {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first axis that is joined with those behind it, the batch being 0; default 1.
    pub start_dim: usize,
}

impl Default for Flatten {
    fn default() -> Self {
        Flatten::new(1)
    }
}

impl Flatten {
    /// From the given axis on, the batch being 0.
    pub fn new(start_dim: usize) -> Self {
        Flatten { name: None, start_dim }
    }
}

impl Layer for Flatten {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = cx.dims(x);
        if !(1..dims.len()).contains(&self.start_dim) {
            let wanted = format!("between 1 and {} for {dims:?}", dims.len() - 1);
            return Err(cx.option_error("start_dim", wanted, self.start_dim));
        }
        let mut flat = dims[..self.start_dim].to_vec();
        flat.push(dims[self.start_dim..].iter().product());
        Ok(cx.graph.reshape(x, &flat)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
