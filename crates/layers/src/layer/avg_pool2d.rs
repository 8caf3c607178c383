//! The mean of each window.

use onestep_engine::Value;
use onestep_engine::ops::PoolWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv2d::one;
use super::dense::yes;
use super::max_pool2d::zero;
use super::pool::Pooling;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// `y[p] = mean over q of x[p stride + q - padding]` in each channel. Padding counts as zeros, or
/// not at all without `count_include_pad`; what hangs over the edge in `ceil_mode` never counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The window's size.
    pub kernel_size: Pair,
    /// The step from one window to the next; default the window's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Pair>,
    /// Zeros on each side; default 0, at most half of the window.
    #[serde(default = "zero")]
    pub padding: Pair,
    /// Whether a last window may hang over the edge; default false.
    #[serde(default)]
    pub ceil_mode: bool,
    /// Whether padding counts as elements; default true.
    #[serde(default = "yes")]
    pub count_include_pad: bool,
}

impl AvgPool2d {
    /// Windows side by side without padding.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        AvgPool2d {
            name: None,
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// How many elements count in each window along one axis.
    fn counts(&self, window: &PoolWindow, axis: usize, size: usize) -> Vec<usize> {
        let padding = window.pad_low[axis];
        let outputs = window.output_size(axis, size).unwrap_or(0);
        let count = |p: usize| {
            let start = p * window.stride[axis];
            let end = (start + window.size[axis]).min(size + 2 * padding);
            if self.count_include_pad {
                return end - start;
            }
            end.min(size + padding) - start.max(padding)
        };
        (0..outputs).map(count).collect()
    }
}

impl Layer for AvgPool2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let pooling = Pooling {
            kernel: self.kernel_size,
            stride: self.stride.unwrap_or(self.kernel_size),
            padding: self.padding,
            dilation: one(),
            ceil_mode: self.ceil_mode,
        };
        let window = pooling.window(cx, x)?;
        let dims = cx.dims(x);
        if window.size[..] == dims[2..] && (window.pad_low, window.pad_high) == ([0; 2], [0; 2]) {
            // A mean, whose gradient is a broadcast that fuses with what comes before it.
            return Ok(cx.graph.mean(x, &[2, 3], true)?);
        }
        let rows = self.counts(&window, 0, dims[2]);
        let columns = self.counts(&window, 1, dims[3]);

        let g = &mut cx.graph;
        let sum = g.sum_pool(x, window)?;
        let same = |counts: &[usize]| counts.windows(2).all(|pair| pair[0] == pair[1]);
        if let ([row, ..], [column, ..], true) =
            (&rows[..], &columns[..], same(&rows) && same(&columns))
        {
            return Ok(g.scale(sum, 1.0 / (row * column) as f32)?);
        }
        let reciprocals = |counts: &[usize]| counts.iter().map(|&n| 1.0 / n as f32).collect();
        let (of_rows, of_columns): (Vec<f32>, Vec<f32>) =
            (reciprocals(&rows), reciprocals(&columns));
        let of_rows = g.constant_tensor(&[rows.len(), 1], &of_rows)?;
        let of_columns = g.constant_tensor(&[columns.len()], &of_columns)?;
        let factors = g.mul(of_rows, of_columns)?;
        Ok(g.mul(sum, factors)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output((self.kernel_size.height * self.kernel_size.width + 1) as u64)
    }
}
