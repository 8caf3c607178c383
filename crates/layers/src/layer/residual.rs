//! The sum of a body and a shortcut.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, LayerSpec, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::limits::{clone_layers, drop_layers};
use crate::placed::{Placed, layer_list};

/// `y = body(x) + shortcut(x)` (He et al., "Deep Residual Learning", 2016). An empty list is the
/// identity. Parameters: `NAME.body.…` and `NAME.shortcut.…`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layers of the body.
    #[serde(deserialize_with = "layer_list")]
    pub body: Vec<Placed>,
    /// The layers of the shortcut; default none, the identity.
    #[serde(default, deserialize_with = "layer_list", skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<Placed>,
}

impl Clone for Residual {
    fn clone(&self) -> Self {
        let (body, shortcut) = (clone_layers(&self.body), clone_layers(&self.shortcut));
        Residual { name: self.name.clone(), body, shortcut }
    }
}

impl Drop for Residual {
    fn drop(&mut self) {
        drop_layers(std::mem::take(&mut self.body));
        drop_layers(std::mem::take(&mut self.shortcut));
    }
}

impl Residual {
    /// With the given body and the identity as shortcut.
    pub fn new(body: impl Into<Vec<LayerSpec>>) -> Self {
        let body = body.into().into_iter().map(Placed::from).collect();
        Residual { name: None, body, shortcut: Vec::new() }
    }

    /// With layers in the shortcut.
    #[must_use]
    pub fn with_shortcut(mut self, shortcut: impl Into<Vec<LayerSpec>>) -> Self {
        self.shortcut = shortcut.into().into_iter().map(Placed::from).collect();
        self
    }
}

impl Layer for Residual {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let body = cx.scope("body", |cx| cx.sequence(&self.body, x))?;
        let shortcut = cx.scope("shortcut", |cx| cx.sequence(&self.shortcut, x))?;
        let (ours, theirs) = (cx.dims(body), cx.dims(shortcut));
        if ours != theirs {
            let wanted = "a body and a shortcut of one output shape";
            let got = format!(
                "{:?} from the body and {:?} from the shortcut (a strided or 1x1 conv2d or a \
                 dense layer in the shortcut can match them)",
                &ours[1..],
                &theirs[1..]
            );
            return Err(cx.input_error(wanted, got));
        }
        Ok(cx.graph.add(body, shortcut)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.outputs()
    }
}
