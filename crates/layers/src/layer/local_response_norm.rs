//! Normalisation across neighbouring channels.

use onestep_engine::Value;
use onestep_engine::ops::PoolWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y_c = x_c (k + alpha/size sum over the size channels around c of x^2)^-beta` (Krizhevsky et al.,
/// "ImageNet Classification with Deep Convolutional Neural Networks", 2012, with the sum divided by
/// `size` as in PyTorch), of samples `[c, ...]`. Channels beyond the ends count as zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many channels: `size / 2` before, the rest from the channel itself on.
    pub size: usize,
    /// The factor of the mean square; at least 0, default 1e-4.
    #[serde(default = "alpha")]
    pub alpha: f32,
    /// The exponent; default 0.75.
    #[serde(default = "beta")]
    pub beta: f32,
    /// Added to the mean square; above 0, default 1.
    #[serde(default = "one")]
    pub k: f32,
}

fn alpha() -> f32 {
    1e-4
}

fn beta() -> f32 {
    0.75
}

fn one() -> f32 {
    1.0
}

impl LocalResponseNorm {
    /// Over so many channels, with PyTorch's defaults.
    pub fn new(size: usize) -> Self {
        LocalResponseNorm { name: None, size, alpha: alpha(), beta: beta(), k: one() }
    }

    /// The dimensions of the input.
    fn check(&self, cx: &BuildContext, x: Value) -> Result<Vec<usize>, LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        if dims.len() < 3 {
            let wanted = "[channels, ...] a sample, with at least one axis more";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        if !(1..=2 * dims[1]).contains(&self.size) {
            let wanted = format!("from 1 to {}, twice the channels", 2 * dims[1]);
            return Err(cx.option_error("size", wanted, self.size));
        }
        let good = |number: f32, above_zero: bool| {
            number.is_finite() && (number > 0.0 || !above_zero && number == 0.0)
        };
        if !good(self.alpha, false) {
            return Err(cx.option_error("alpha", "finite and at least 0", self.alpha));
        }
        if !good(self.k, true) {
            return Err(cx.option_error("k", "finite and above 0", self.k));
        }
        if !self.beta.is_finite() {
            return Err(cx.option_error("beta", "finite", self.beta));
        }
        Ok(dims)
    }
}

impl Layer for LocalResponseNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = self.check(cx, x)?;
        let rest = dims[2..].iter().product();
        let window = PoolWindow {
            size: [self.size, 1],
            stride: [1, 1],
            pad_low: [self.size / 2, 0],
            pad_high: [(self.size - 1) / 2, 0],
            dilation: [1, 1],
        };
        let g = &mut cx.graph;
        let square = g.square(x)?;
        let planes = g.reshape(square, &[dims[0], 1, dims[1], rest])?;
        let sums = g.sum_pool(planes, window)?;
        let sums = g.reshape(sums, &dims)?;
        let around = g.scale(sums, self.alpha / self.size as f32)?;
        let around = g.offset(around, self.k)?;
        let exponent = g.constant(-self.beta)?;
        let factor = g.pow(around, exponent)?;
        Ok(g.mul(x, factor)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(self.size as u64 + 5)
    }
}
