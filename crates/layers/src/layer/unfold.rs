//! Windows of a picture as columns.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{one, zero};
use super::window::{Window, stack};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::{Pair, Sizes};

/// `[c, h, w] -> [c kernel height kernel width, windows]`: each window of a picture padded with zeros is a
/// column, as PyTorch's `Unfold` makes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unfold {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The window's size.
    pub kernel_size: Pair,
    /// The step from one element of the window to the next; default 1.
    #[serde(default = "one::<Pair>")]
    pub dilation: Pair,
    /// Zeros on each side; default 0.
    #[serde(default = "zero::<Pair>")]
    pub padding: Pair,
    /// The step from one window to the next; default 1.
    #[serde(default = "one::<Pair>")]
    pub stride: Pair,
}

impl Unfold {
    /// With stride 1 and without padding.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        let (stride, dilation, padding) = (one(), one(), zero());
        Unfold { name: None, kernel_size: kernel_size.into(), dilation, padding, stride }
    }

    /// The window, once its options are checked.
    pub(super) fn window(&self, cx: &BuildContext) -> Result<Window, LayerError> {
        for (option, pair, least) in [
            ("kernel_size", self.kernel_size, 1),
            ("dilation", self.dilation, 1),
            ("padding", self.padding, 0),
            ("stride", self.stride, 1),
        ] {
            cx.check_sizes(option, pair, least)?;
        }
        Ok(Window {
            size: self.kernel_size.to_vec(),
            stride: self.stride.to_vec(),
            low: self.padding.to_vec(),
            high: self.padding.to_vec(),
            dilation: self.dilation.to_vec(),
        })
    }
}

impl Layer for Unfold {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 3, Pair::SAMPLE)?;
        let window = self.window(cx)?;
        cx.check_fit::<Pair>(x, &window.extents(), |axis, size| window.count(axis, size))?;
        let g = &mut cx.graph;
        let rows = stack(g, x, 2, &window, 0)?;
        let both = stack(g, rows, 4, &window, 1)?;
        let [n, c, kh, height, kw, width] = g.shape(both).dims()[..] else {
            return Err(cx.input_error("a picture", "none"));
        };
        let columns = g.permute(both, &[0, 1, 2, 4, 3, 5])?;
        Ok(g.reshape(columns, &[n, c * kh * kw, height * width])?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
