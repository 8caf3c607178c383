//! A line between two bounds.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::bounded;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = min(max(x, min_val), max_val)`, elementwise. The gradient at the bounds and beyond is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hardtanh {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The lower bound; default -1.
    pub min_val: f32,
    /// The upper bound, above the lower one; default 1.
    pub max_val: f32,
}

impl Default for Hardtanh {
    fn default() -> Self {
        Hardtanh::new(-1.0, 1.0)
    }
}

impl Hardtanh {
    /// Between these bounds.
    pub fn new(min_val: f32, max_val: f32) -> Self {
        Hardtanh { name: None, min_val, max_val }
    }
}

impl Layer for Hardtanh {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let (low, high) = (self.min_val, self.max_val);
        if !low.is_finite() {
            return Err(cx.option_error("min_val", "finite", low));
        }
        if !(high.is_finite() && high > low) {
            return Err(cx.option_error("max_val", format!("finite and above {low}"), high));
        }
        Ok(bounded(&mut cx.graph, x, self.min_val, self.max_val)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
