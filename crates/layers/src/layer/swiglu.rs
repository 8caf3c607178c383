//! A gate by the sigmoid linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::halves;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = silu(a) b` with the halves `a` and `b` of the input along an axis (Shazeer, "GLU Variants Improve
/// Transformer", 2020). It is the first half that is bent, as in Llama's and Phi's joined weights; in
/// [`Glu`](super::Glu), as in PyTorch, it is the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Swiglu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, whose size is even, the batch being 0; negative ones count from the end. Default -1.
    pub dim: isize,
}

impl Default for Swiglu {
    fn default() -> Self {
        Swiglu::new(-1)
    }
}

impl Swiglu {
    /// Along the given axis, the batch being 0; negative ones count from the end.
    pub fn new(dim: isize) -> Self {
        Swiglu { name: None, dim }
    }
}

impl Layer for Swiglu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [a, b] = halves(cx, x, self.dim)?;
        let gate = cx.graph.sigmoid(a)?;
        let bent = cx.graph.mul(a, gate)?;
        Ok(cx.graph.mul(bent, b)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(6)
    }
}
