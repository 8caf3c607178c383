//! The mean of each channel.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The mean of each channel: `[c, h, w] -> [c, 1, 1]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlobalAvgPool2d {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for GlobalAvgPool2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        Ok(cx.graph.mean(x, &[2, 3], true)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs()
    }
}
