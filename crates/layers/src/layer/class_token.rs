//! A learned position in front.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::is_default;
use super::learned_positions::positions;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// One learned position in front of all others: `[t, d] -> [1 + t, d]` (Dosovitskiy et al., "An Image is Worth
/// 16x16 Words", 2020). What it becomes stands for the sample.
///
/// Parameter: `weight [1, 1, d]`, zeros at the start; torchvision's is called `class_token`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassToken {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the position begins.
    #[serde(skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

impl ClassToken {
    /// Zeros at the start.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for ClassToken {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [_, width] = positions(cx, x)?;
        let init = self.weight_init.or(Initializer::Zeros);
        let token = cx.parameter("weight", &[1, 1, width], init, Fan::dense(1, width))?;
        let batch = cx.batch();
        let g = &mut cx.graph;
        let tokens = g.broadcast(token, &[batch, 1, width])?;
        Ok(g.concat(&[tokens, x], 1)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
