//! A stack of encoder layers.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feed_forward::{norm, stack};
use super::{Layer, LayerSpec, Shapes, TransformerEncoderLayer};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `layer` `num_layers` times, one behind the other, each with parameters of its own, and with `norm` a norm
/// behind (Vaswani et al., "Attention Is All You Need", 2017, section 3.1). It takes what that layer takes.
///
/// Parameters, with PyTorch's names: `layers.0.…`, `layers.1.…`, and `norm.weight`, `norm.bias`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformerEncoder {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many layers.
    pub num_layers: usize,
    /// The options of each layer.
    pub layer: TransformerEncoderLayer,
    /// Whether a norm follows the last one; default false.
    #[serde(default)]
    pub norm: bool,
}

impl TransformerEncoder {
    /// So many layers without a norm behind.
    pub fn new(num_layers: usize, layer: TransformerEncoderLayer) -> Self {
        TransformerEncoder { name: None, num_layers, layer, norm: false }
    }
}

impl Layer for TransformerEncoder {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.build_many(cx, &[x]).and_then(|values| cx.one(&values))
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let layer = LayerSpec::TransformerEncoderLayer(self.layer.clone());
        let last = self.norm.then(|| norm(self.layer.layer_norm_eps, self.layer.bias));
        stack(cx, (self.num_layers, layer), last, inputs)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
