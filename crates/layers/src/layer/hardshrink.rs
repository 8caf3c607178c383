//! Zero near 0, the input beyond.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` where `|x| > lambd`, else 0, elementwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hardshrink {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it begins; at least 0, default 0.5.
    pub lambd: f32,
}

impl Default for Hardshrink {
    fn default() -> Self {
        Hardshrink::new(0.5)
    }
}

impl Hardshrink {
    /// With the given threshold.
    pub fn new(lambd: f32) -> Self {
        Hardshrink { name: None, lambd }
    }
}

impl Layer for Hardshrink {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !(self.lambd.is_finite() && self.lambd >= 0.0) {
            return Err(cx.option_error("lambd", "finite and at least 0", self.lambd));
        }
        let g = &mut cx.graph;
        let (low, high, zero) =
            (g.constant(-self.lambd)?, g.constant(self.lambd)?, g.constant(0.0)?);
        let (above, below) = (g.ge(x, low)?, g.le(x, high)?);
        let near = g.mul(above, below)?;
        Ok(g.select(near, zero, x)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(4)
    }
}
