//! A continuously differentiable exponential linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::{where_positive, zero_where_positive};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` for `x > 0`, else `alpha (e^(x / alpha) - 1)`, elementwise (Barron, "Continuously
/// Differentiable Exponential Linear Units", 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Celu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Minus the limit far below 0; not 0, default 1.
    pub alpha: f32,
}

impl Default for Celu {
    fn default() -> Self {
        Celu::new(1.0)
    }
}

impl Celu {
    /// With the given `alpha`.
    pub fn new(alpha: f32) -> Self {
        Celu { name: None, alpha }
    }
}

impl Layer for Celu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !(self.alpha.is_finite() && self.alpha != 0.0) {
            return Err(cx.option_error("alpha", "finite and not 0", self.alpha));
        }
        let g = &mut cx.graph;
        let low = zero_where_positive(g, x)?;
        let alpha = g.constant(self.alpha)?;
        let low = g.div(low, alpha)?;
        let curve = g.expm1(low)?;
        let curve = g.mul(curve, alpha)?;
        Ok(where_positive(g, x, curve)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5)
    }
}
