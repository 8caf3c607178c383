//! A picture from its windows.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{one, zero};
use super::window::unstack;
use super::{Layer, Shapes, Unfold};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// `[c kernel height kernel width, windows] -> [c, ...output_size]`: columns as [`Unfold`] makes them are
/// added up where they came from, as PyTorch's `Fold` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The size of the picture.
    pub output_size: Pair,
    /// The window's size.
    pub kernel_size: Pair,
    /// The step from one element of the window to the next; default 1.
    #[serde(default = "one::<Pair>")]
    pub dilation: Pair,
    /// How much was added on each side before the windows were taken; default 0.
    #[serde(default = "zero::<Pair>")]
    pub padding: Pair,
    /// The step from one window to the next; default 1.
    #[serde(default = "one::<Pair>")]
    pub stride: Pair,
}

impl Fold {
    /// With stride 1 and without padding.
    pub fn new(output_size: impl Into<Pair>, kernel_size: impl Into<Pair>) -> Self {
        Fold {
            name: None,
            output_size: output_size.into(),
            kernel_size: kernel_size.into(),
            dilation: one(),
            padding: zero(),
            stride: one(),
        }
    }
}

impl Layer for Fold {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 2, "[channels times elements of a window, windows]")?;
        cx.check_sizes("output_size", self.output_size, 1)?;
        let window = Unfold {
            name: None,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            padding: self.padding,
            stride: self.stride,
        }
        .window(cx)?;
        let (size, dims) = (self.output_size.to_array(), cx.dims(x));
        let [Some(rows), Some(columns)] = [0, 1].map(|axis| window.count(axis, size[axis])) else {
            let wanted = format!("at least the window's extent {:?}", window.extents());
            return Err(cx.option_error("output_size", wanted, self.output_size));
        };
        let [kh, kw] = self.kernel_size.to_array();
        // Both sizes are small enough for their product.
        let elements = kh * kw;
        if !dims[1].is_multiple_of(elements) || dims[2] != rows * columns {
            let wanted = format!("[a multiple of {elements}, {}] a sample", rows * columns);
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        let channels = dims[1] / elements;
        let g = &mut cx.graph;
        let windows = g.reshape(x, &[dims[0], channels, kh, kw, rows, columns])?;
        let both = g.permute(windows, &[0, 1, 2, 4, 3, 5])?;
        let rows = unstack(g, both, 4, &window, 1, size[1])?;
        Ok(unstack(g, rows, 2, &window, 0, size[0])?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs()
    }
}
