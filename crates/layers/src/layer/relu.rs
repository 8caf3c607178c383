//! The rectified linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Layer;
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = max(x, 0)`, elementwise. The gradient at 0 is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for Relu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        Ok(cx.graph.relu(x)?)
    }
}
