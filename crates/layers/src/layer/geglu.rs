//! A gate by the Gaussian error linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::halves;
use super::gelu::Gelu;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = gelu(a) b` with the halves `a` and `b` of the input along an axis and the exact GELU (Shazeer,
/// "GLU Variants Improve Transformer", 2020). It is the first half that is bent; in
/// [`Glu`](super::Glu), as in PyTorch, and in diffusers' layer of this name, it is the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Geglu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, whose size is even, the batch being 0; negative ones count from the end. Default -1.
    pub dim: isize,
}

impl Default for Geglu {
    fn default() -> Self {
        Geglu::new(-1)
    }
}

impl Geglu {
    /// Along the given axis, the batch being 0; negative ones count from the end.
    pub fn new(dim: isize) -> Self {
        Geglu { name: None, dim }
    }
}

impl Layer for Geglu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [a, b] = halves(cx, x, self.dim)?;
        let bent = Gelu::default().build(cx, a)?;
        Ok(cx.graph.mul(bent, b)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(9)
    }
}
