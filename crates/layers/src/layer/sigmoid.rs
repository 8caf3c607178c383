//! The logistic function.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = 1 / (1 + e^-x)`, elementwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sigmoid {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for Sigmoid {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        Ok(cx.graph.sigmoid(x)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(4)
    }
}
