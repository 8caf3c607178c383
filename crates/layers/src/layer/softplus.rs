//! A smooth ReLU.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = log(1 + e^(beta x)) / beta`, elementwise; `x` itself where `beta x` is above `threshold` (Dugas
/// et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing", 2001).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Softplus {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How steep the bend is; not 0, default 1.
    pub beta: f32,
    /// From where on it is a line; at most 80, default 20.
    pub threshold: f32,
}

impl Default for Softplus {
    fn default() -> Self {
        Softplus::new(1.0, 20.0)
    }
}

impl Softplus {
    /// With the given steepness and threshold.
    pub fn new(beta: f32, threshold: f32) -> Self {
        Softplus { name: None, beta, threshold }
    }
}

impl Layer for Softplus {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !(self.beta.is_finite() && self.beta != 0.0) {
            return Err(cx.option_error("beta", "finite and not 0", self.beta));
        }
        // Beyond, e^threshold leaves f32.
        if !(self.threshold.is_finite() && self.threshold <= 80.0) {
            return Err(cx.option_error("threshold", "finite and at most 80", self.threshold));
        }
        let g = &mut cx.graph;
        let steep = g.scale(x, self.beta)?;
        let threshold = g.constant(self.threshold)?;
        let line = g.gt(steep, threshold)?;
        let zero = g.constant(0.0)?;
        let low = g.select(line, zero, steep)?;
        let curve = g.exp(low)?;
        let curve = g.log1p(curve)?;
        let beta = g.constant(self.beta)?;
        let curve = g.div(curve, beta)?;
        Ok(g.select(line, x, curve)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(6)
    }
}
