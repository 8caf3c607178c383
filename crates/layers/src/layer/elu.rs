//! The exponential linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::{where_positive, zero_where_positive};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x` for `x > 0`, else `alpha (e^x - 1)`, elementwise (Clevert et al., "Fast and Accurate
/// Deep Network Learning by Exponential Linear Units", 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Elu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Minus the limit far below 0; default 1.
    pub alpha: f32,
}

impl Default for Elu {
    fn default() -> Self {
        Elu::new(1.0)
    }
}

impl Elu {
    /// With the given `alpha`.
    pub fn new(alpha: f32) -> Self {
        Elu { name: None, alpha }
    }
}

impl Layer for Elu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if !self.alpha.is_finite() {
            return Err(cx.option_error("alpha", "finite", self.alpha));
        }
        let g = &mut cx.graph;
        let bounded = zero_where_positive(g, x)?;
        let curve = g.expm1(bounded)?;
        let curve = g.scale(curve, self.alpha)?;
        Ok(where_positive(g, x, curve)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(4)
    }
}
