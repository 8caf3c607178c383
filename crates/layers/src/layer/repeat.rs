//! A block of layers several times.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, LayerSpec, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::limits::{clone_layers, drop_layers};
use crate::placed::{Placed, layer_list};

/// `body` `times` times, one behind the other, each with parameters of its own: `NAME.0.…`,
/// `NAME.1.…` and so on.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How often, at least once.
    pub times: usize,
    /// The layers of one time.
    #[serde(deserialize_with = "layer_list")]
    pub body: Vec<Placed>,
}

impl Clone for Repeat {
    fn clone(&self) -> Self {
        Repeat { name: self.name.clone(), times: self.times, body: clone_layers(&self.body) }
    }
}

impl Drop for Repeat {
    fn drop(&mut self) {
        drop_layers(std::mem::take(&mut self.body));
    }
}

impl Repeat {
    /// The given layers so many times.
    pub fn new(times: usize, body: impl Into<Vec<LayerSpec>>) -> Self {
        let body = body.into().into_iter().map(Placed::from).collect();
        Repeat { name: None, times, body }
    }
}

impl Layer for Repeat {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        if self.times == 0 {
            return Err(cx.option_error("times", "at least 1", 0));
        }
        (0..self.times)
            .try_fold(x, |x, time| cx.scope(&time.to_string(), |cx| cx.sequence(&self.body, x)))
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
