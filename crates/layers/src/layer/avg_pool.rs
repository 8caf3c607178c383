//! The mean of each window.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{one, zero};
use super::dense::yes;
use super::pool::Pooling;
use super::window::{self, Window};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// `y[p] = mean over q of x[p stride + q - padding]` in each channel. Padding counts as zeros, or
/// not at all without `count_include_pad`; what hangs over the edge in `ceil_mode` never counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "AvgPool{S}")]
pub struct AvgPool<S: Sizes> {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The window's size.
    pub kernel_size: S,
    /// The step from one window to the next; default the window's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<S>,
    /// Zeros on each side; default 0, at most half of the window.
    #[serde(default = "zero::<S>")]
    pub padding: S,
    /// Whether a last window may hang over the edge; default false.
    #[serde(default)]
    pub ceil_mode: bool,
    /// Whether padding counts as elements; default true.
    #[serde(default = "yes")]
    pub count_include_pad: bool,
    /// What each sum is divided by, in place of the number of elements; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divisor_override: Option<usize>,
}

impl<S: Sizes> AvgPool<S> {
    /// Windows side by side without padding.
    pub fn new(kernel_size: impl Into<S>) -> Self {
        AvgPool {
            name: None,
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// How many elements count in each window along one axis.
    fn counts(&self, window: &Window, axis: usize, size: usize) -> Vec<usize> {
        let padding = window.low[axis];
        let outputs = window.count(axis, size).unwrap_or(0);
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

/// A sum of each window over the elements that count in it, axis by axis.
fn divided(g: &mut Graph, sum: Value, counts: &[Vec<usize>]) -> Result<Value, GraphError> {
    let same = |counts: &Vec<usize>| counts.windows(2).all(|pair| pair[0] == pair[1]);
    if counts.iter().all(same) {
        let count: usize = counts.iter().filter_map(|counts| counts.first()).product();
        return g.scale(sum, 1.0 / count as f32);
    }
    let mut factors = None;
    for (axis, counts_) in counts.iter().enumerate() {
        let reciprocals: Vec<f32> = counts_.iter().map(|&n| 1.0 / n as f32).collect();
        let mut dims = vec![1; counts.len() - axis];
        dims[0] = counts_.len();
        let of_axis = g.constant_tensor(&dims, &reciprocals)?;
        factors = Some(match factors {
            None => of_axis,
            Some(factors) => g.mul(factors, of_axis)?,
        });
    }
    factors.map_or(Ok(sum), |factors| g.mul(sum, factors))
}

impl<S: Sizes> Layer for AvgPool<S> {
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
        if self.divisor_override == Some(0) {
            return Err(LayerError::input("divisor_override", "at least 1", 0));
        }
        let padded = window.low.iter().chain(&window.high).any(|&padding| padding > 0);
        if window.size[..] == dims[2..] && !padded && self.divisor_override.is_none() {
            // A mean, whose gradient is a broadcast that fuses with what comes before it.
            let axes: Vec<usize> = (2..dims.len()).collect();
            return Ok(cx.graph.mean(x, &axes, true)?);
        }
        let sum = window::pool(&mut cx.graph, x, &window, Graph::sum_pool)?;
        if let Some(divisor) = self.divisor_override {
            return Ok(cx.graph.scale(sum, 1.0 / divisor as f32)?);
        }
        let sizes = dims[2..].iter().enumerate();
        let counts: Vec<Vec<usize>> =
            sizes.map(|(axis, &size)| self.counts(&window, axis, size)).collect();
        Ok(divided(&mut cx.graph, sum, &counts)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(self.kernel_size.to_vec().iter().product::<usize>() as u64 + 1)
    }
}
