//! Whole channels of zeros in training.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise::{axes_as_one, drop};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// In training `y = x m / (1 - p)` with `m` 0 with probability `p` and else 1, drawn anew for each channel
/// of each sample `[c, h, w]` and step; the identity otherwise (Tompson et al., "Efficient Object Localization
/// Using Convolutional Networks", 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dropout2d {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability of a channel of zeros, in `[0, 1]`; default 0.5.
    pub p: f32,
}

impl Default for Dropout2d {
    fn default() -> Self {
        Dropout2d::new(0.5)
    }
}

impl Dropout2d {
    /// With channels of zeros of probability `p`.
    pub fn new(p: f32) -> Self {
        Dropout2d { name: None, p }
    }
}

impl Layer for Dropout2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        let mask = axes_as_one(cx, x, 2);
        drop(cx, x, self.p, &mask)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
