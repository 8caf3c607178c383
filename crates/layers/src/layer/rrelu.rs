//! A leaky ReLU whose slope is drawn.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::where_positive;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` for `x >= 0`, else `a x`, elementwise: in training each `a` is drawn uniformly from `lower` to
/// `upper`, otherwise it is their mean (Xu et al., "Empirical Evaluation of Rectified Activations in
/// Convolution Network", 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rrelu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The least slope; default 1/8.
    pub lower: f32,
    /// The largest slope, at least the least; default 1/3.
    pub upper: f32,
}

impl Default for Rrelu {
    fn default() -> Self {
        Rrelu::new(0.125, 1.0 / 3.0)
    }
}

impl Rrelu {
    /// With slopes between these.
    pub fn new(lower: f32, upper: f32) -> Self {
        Rrelu { name: None, lower, upper }
    }
}

impl Layer for Rrelu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !self.lower.is_finite() {
            return Err(cx.option_error("lower", "finite", self.lower));
        }
        if !(self.upper.is_finite() && self.upper >= self.lower) {
            let wanted = format!("finite and at least {}", self.lower);
            return Err(cx.option_error("upper", wanted, self.upper));
        }
        let training = cx.training();
        let dims = cx.dims(x);
        let g = &mut cx.graph;
        let leak = if training {
            let drawn = g.random_uniform(&dims)?;
            let drawn = g.scale(drawn, self.upper - self.lower)?;
            let slope = g.offset(drawn, self.lower)?;
            g.mul(x, slope)?
        } else {
            g.scale(x, (self.lower + self.upper) / 2.0)?
        };
        Ok(where_positive(g, x, leak)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(3)
    }
}
