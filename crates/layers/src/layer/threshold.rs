//! A value in place of what is small.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` where `x > threshold`, else `value`, elementwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The largest input that is replaced; default 0.
    pub threshold: f32,
    /// What stands in its place; default 0.
    pub value: f32,
}

impl Default for Threshold {
    fn default() -> Self {
        Threshold::new(0.0, 0.0)
    }
}

impl Threshold {
    /// With the given threshold and value.
    pub fn new(threshold: f32, value: f32) -> Self {
        Threshold { name: None, threshold, value }
    }
}

impl Layer for Threshold {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        for (option, number) in [("threshold", self.threshold), ("value", self.value)] {
            if !number.is_finite() {
                return Err(cx.option_error(option, "finite", number));
            }
        }
        let g = &mut cx.graph;
        let (threshold, value) = (g.constant(self.threshold)?, g.constant(self.value)?);
        let small = g.le(x, threshold)?;
        Ok(g.select(small, value, x)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
