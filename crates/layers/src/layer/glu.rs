//! A gate of one half on the other.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::halves;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = a s(b)` with the halves `a` and `b` of the input along an axis and the logistic function `s`
/// (Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Glu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, whose size is even, the batch being 0; negative ones count from the end. Default -1.
    pub dim: isize,
}

impl Default for Glu {
    fn default() -> Self {
        Glu::new(-1)
    }
}

impl Glu {
    /// Along the given axis, the batch being 0; negative ones count from the end.
    pub fn new(dim: isize) -> Self {
        Glu { name: None, dim }
    }
}

impl Layer for Glu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [a, b] = halves(cx, x, self.dim)?;
        let gate = cx.graph.sigmoid(b)?;
        Ok(cx.graph.mul(a, gate)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5)
    }
}
