//! Random zeros in training.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise::drop;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// In training `y = x m / (1 - p)` with `m` 0 with probability `p` and else 1, drawn anew for each
/// element and step; the identity otherwise (Srivastava et al., "Dropout", 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dropout {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability of a zero, in `[0, 1]`; default 0.5.
    pub p: f32,
}

impl Default for Dropout {
    fn default() -> Self {
        Dropout::new(0.5)
    }
}

impl Dropout {
    /// With zeros of probability `p`.
    pub fn new(p: f32) -> Self {
        Dropout { name: None, p }
    }
}

impl Layer for Dropout {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let mask = cx.dims(x);
        drop(cx, x, self.p, &mask)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
