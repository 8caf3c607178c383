//! Dropout that keeps mean and variance.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise::saturate;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// In training `y = a (x m + s (1 - m)) + b` with `m` 0 with probability `p` and else 1, drawn anew for each
/// element and step, `s = -1.758`, and `a` and `b` such that mean and variance stay as they are
/// behind a [`Selu`](super::Selu); the identity otherwise (Klambauer et al., "Self-Normalizing Neural
/// Networks", 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlphaDropout {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability of a replacement, in `[0, 1]`; default 0.5.
    pub p: f32,
}

impl Default for AlphaDropout {
    fn default() -> Self {
        AlphaDropout::new(0.5)
    }
}

impl AlphaDropout {
    /// With replacements of probability `p`.
    pub fn new(p: f32) -> Self {
        AlphaDropout { name: None, p }
    }
}

impl Layer for AlphaDropout {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let mask = cx.dims(x);
        saturate(cx, x, self.p, &mask)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
