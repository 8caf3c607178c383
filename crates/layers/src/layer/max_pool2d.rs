//! The largest element of each window.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv2d::one;
use super::pool::Pooling;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// `y[p] = max over q of x[p stride + q dilation - padding]` in each channel; padding never wins.
/// The gradient goes to the first of equal elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The window's size.
    pub kernel_size: Pair,
    /// The step from one window to the next; default the window's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Rows and columns added on each side; default 0, at most half of the window.
    #[serde(default = "zero")]
    pub padding: Pair,
    /// The step from one element of the window to the next; default 1.
    #[serde(default = "one")]
    pub dilation: Pair,
    /// Whether a last window may hang over the edge; default false.
    #[serde(default)]
    pub ceil_mode: bool,
}

pub(super) fn zero() -> Pair {
    Pair::from(0)
}

impl MaxPool2d {
    /// Windows side by side without padding.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        MaxPool2d {
            name: None,
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            dilation: one(),
            ceil_mode: false,
        }
    }
}

impl Layer for MaxPool2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let pooling = Pooling {
            kernel: self.kernel_size,
            stride: self.stride.unwrap_or(self.kernel_size),
            padding: self.padding,
            dilation: self.dilation,
            ceil_mode: self.ceil_mode,
        };
        let window = pooling.window(cx, x)?;
        Ok(cx.graph.max_pool(x, window)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output((self.kernel_size.height * self.kernel_size.width) as u64)
    }
}
