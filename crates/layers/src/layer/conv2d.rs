//! Convolutions over pictures.

use onestep_engine::Value;
use onestep_engine::ops::ConvWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv_parts::{Channels, add_bias};
use super::dense::{is_default, yes};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::{Padding, Pair};
use crate::initializer::{Fan, Initializer};

/// `y[o, p] = b[o] + sum over c, q of x[c, p stride + q dilation - padding] w[o, c, q]` within each
/// of `groups` groups of channels: `[c, h, w] -> [out_channels, h', w']` with
/// `h' = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1`. It is a
/// cross-correlation, as everywhere in the field.
///
/// Parameters: `weight [out_channels, c / groups, kernel height, kernel width]`, and with `bias`
/// `bias [out_channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Channels of the input. Inferred; checked where they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_channels: Option<usize>,
    /// Channels of the output.
    pub out_channels: usize,
    /// The size of the kernel.
    pub kernel_size: Pair,
    /// The step from one output to the next; default 1.
    #[serde(default = "one")]
    pub stride: Pair,
    /// Zeros around the picture; default 0.
    #[serde(default)]
    pub padding: Padding,
    /// The step from one element of the kernel to the next; default 1.
    #[serde(default = "one")]
    pub dilation: Pair,
    /// Channels are split into so many independent groups; default 1.
    #[serde(default = "one_group")]
    pub groups: usize,
    /// Whether a bias is added to each channel; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the bias begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

pub(super) fn one() -> Pair {
    Pair::from(1)
}

pub(super) fn one_group() -> usize {
    1
}

impl Conv2d {
    /// With stride 1, no padding, a bias and PyTorch's initial values.
    pub fn new(out_channels: usize, kernel_size: impl Into<Pair>) -> Self {
        Conv2d {
            name: None,
            in_channels: None,
            out_channels,
            kernel_size: kernel_size.into(),
            stride: one(),
            padding: Padding::default(),
            dilation: one(),
            groups: 1,
            bias: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }

    fn check(&self, cx: &BuildContext, x: Value) -> Result<usize, LayerError> {
        let (input, output) = (self.in_channels, self.out_channels);
        let channels = Channels { input, output, groups: self.groups }.check(cx, x)?;
        let sizes = [
            ("kernel_size", self.kernel_size),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ];
        for (option, pair) in sizes {
            cx.check_pair(option, pair, 1)?;
        }
        Ok(channels)
    }

    fn window(&self, cx: &BuildContext) -> Result<ConvWindow, LayerError> {
        let (low, high) = match self.padding {
            Padding::Valid => ([0; 2], [0; 2]),
            Padding::Explicit(pair) => {
                cx.check_pair("padding", pair, 0)?;
                (pair.to_array(), pair.to_array())
            }
            Padding::Same if self.stride != one() => {
                let wanted = "explicit where the stride is not 1 (an integer or [height, width])";
                return Err(cx.option_error("padding", wanted, "\"same\""));
            }
            Padding::Same => {
                let (kernel, dilation) = (self.kernel_size.to_array(), self.dilation.to_array());
                let total = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1));
                (total.map(|t| t / 2), total.map(|t| t - t / 2))
            }
        };
        Ok(ConvWindow {
            stride: self.stride.to_array(),
            pad_low: low,
            pad_high: high,
            dilation: self.dilation.to_array(),
            groups: self.groups,
        })
    }
}

impl Layer for Conv2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let window = self.window(cx)?;
        let [kh, kw] = self.kernel_size.to_array();
        let extent = [0, 1].map(|axis| window.dilation[axis] * ([kh, kw][axis] - 1) + 1);
        cx.check_fit(x, extent, |axis, size| window.output_size(axis, size, [kh, kw][axis]))?;
        let shape = [self.out_channels, channels / self.groups, kh, kw];
        let fan = Fan::conv(shape);
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = cx.parameter("weight", &shape, init, fan)?;
        let y = cx.graph.conv(x, weight, window)?;
        if self.bias { add_bias(cx, y, self.bias_init, fan) } else { Ok(y) }
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let channels = shapes.input.first().copied().unwrap_or(0) / self.groups.max(1);
        let products = (channels * self.kernel_size.height * self.kernel_size.width) as u64;
        shapes.per_output(2 * products + u64::from(self.bias))
    }
}
