//! A ReLU that leaks.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::where_positive;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` for `x > 0`, else `negative_slope * x`, elementwise (Maas et al., "Rectifier
/// nonlinearities improve neural network acoustic models", 2013).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyRelu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The slope below 0; default 0.01.
    pub negative_slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        LeakyRelu { name: None, negative_slope: 0.01 }
    }
}

impl LeakyRelu {
    /// With the given slope below 0.
    pub fn new(negative_slope: f32) -> Self {
        LeakyRelu { name: None, negative_slope }
    }
}

impl Layer for LeakyRelu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !self.negative_slope.is_finite() {
            return Err(cx.option_error("negative_slope", "finite", self.negative_slope));
        }
        let leak = cx.graph.scale(x, self.negative_slope)?;
        Ok(where_positive(&mut cx.graph, x, leak)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
