//! The largest element of each window.

use onestep_engine::{Graph, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{one, zero};
use super::pool::Pooling;
use super::window;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// `y[p] = max over q of x[p stride + q dilation - padding]` in each channel; padding never wins.
/// The gradient goes to the first of equal elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "MaxPool{S}")]
pub struct MaxPool<S: Sizes> {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The window's size.
    pub kernel_size: S,
    /// The step from one window to the next; default the window's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<S>,
    /// Elements added on each side; default 0, at most half of the window.
    #[serde(default = "zero::<S>")]
    pub padding: S,
    /// The step from one element of the window to the next; default 1.
    #[serde(default = "one::<S>")]
    pub dilation: S,
    /// Whether a last window may hang over the edge; default false.
    #[serde(default)]
    pub ceil_mode: bool,
}

impl<S: Sizes> MaxPool<S> {
    /// Windows side by side without padding.
    pub fn new(kernel_size: impl Into<S>) -> Self {
        MaxPool {
            name: None,
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            dilation: one(),
            ceil_mode: false,
        }
    }
}

impl<S: Sizes> Layer for MaxPool<S> {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let pooling = Pooling {
            kernel: self.kernel_size,
            stride: self.stride.unwrap_or(self.kernel_size),
            padding: self.padding,
            dilation: self.dilation,
            ceil_mode: self.ceil_mode,
        };
        let window = pooling.window(cx, x)?;
        Ok(window::pool(&mut cx.graph, x, &window, Graph::max_pool)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(self.kernel_size.to_vec().iter().product::<usize>() as u64)
    }
}
