//! Layers under one name.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, LayerSpec, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::limits::{clone_layers, drop_layers};
use crate::placed::{Placed, layer_list};

/// `body`, one layer behind the other, as one layer: a part of a model with a name of its own, as
/// `nn.Sequential` or a module in PyTorch. Parameters: `NAME.…`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layers in it.
    #[serde(deserialize_with = "layer_list")]
    pub body: Vec<Placed>,
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Block { name: self.name.clone(), body: clone_layers(&self.body) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        drop_layers(std::mem::take(&mut self.body));
    }
}

impl Block {
    /// Of the given layers.
    pub fn new(body: impl Into<Vec<LayerSpec>>) -> Self {
        Block { name: None, body: body.into().into_iter().map(Placed::from).collect() }
    }
}

impl Layer for Block {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.sequence(&self.body, x)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
