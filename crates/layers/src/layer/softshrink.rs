//! The input, nearer to 0 by a number.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x - lambd` above `lambd`, `x + lambd` below `-lambd`, else 0, elementwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Softshrink {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much nearer; at least 0, default 0.5.
    pub lambd: f32,
}

impl Default for Softshrink {
    fn default() -> Self {
        Softshrink::new(0.5)
    }
}

impl Softshrink {
    /// With the given number.
    pub fn new(lambd: f32) -> Self {
        Softshrink { name: None, lambd }
    }
}

impl Layer for Softshrink {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !(self.lambd.is_finite() && self.lambd >= 0.0) {
            return Err(cx.option_error("lambd", "finite and at least 0", self.lambd));
        }
        let g = &mut cx.graph;
        let (low, high, zero) =
            (g.constant(-self.lambd)?, g.constant(self.lambd)?, g.constant(0.0)?);
        let (above, below) = (g.gt(x, high)?, g.lt(x, low)?);
        let (nearer, up) = (g.sub(x, high)?, g.sub(x, low)?);
        // What is between gives 0, and NaN stays NaN.
        let between = g.mul(x, zero)?;
        let lower = g.select(below, up, between)?;
        Ok(g.select(above, nearer, lower)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5)
    }
}
