//! Transposed convolutions over pictures.

use onestep_engine::ops::ConvWindow;
use onestep_engine::{Shape, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv_parts::{Channels, add_bias};
use super::conv2d::{one, one_group};
use super::dense::{is_default, yes};
use super::max_pool2d::zero;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;
use crate::initializer::{Fan, Initializer};

/// The gradient of a [`Conv2d`](super::Conv2d) in its input, as a layer: `[c, h, w] -> [out_channels, h',
/// w']` with `h' = (h - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1` (Zeiler et
/// al., "Deconvolutional Networks", 2010).
///
/// Parameters: `weight [c, out_channels / groups, kernel height, kernel width]`, and with `bias`
/// `bias [out_channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
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
    /// The step from what one input adds to to the next; default 1.
    #[serde(default = "one")]
    pub stride: Pair,
    /// How many rows and columns of the output are cut off at each side; default 0.
    #[serde(default = "zero")]
    pub padding: Pair,
    /// Rows below and columns to the right that are kept in addition; smaller than the stride, default 0.
    #[serde(default = "zero")]
    pub output_padding: Pair,
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

impl ConvTranspose2d {
    /// With stride 1, no padding, a bias and PyTorch's initial values.
    pub fn new(out_channels: usize, kernel_size: impl Into<Pair>) -> Self {
        ConvTranspose2d {
            name: None,
            in_channels: None,
            out_channels,
            kernel_size: kernel_size.into(),
            stride: one(),
            padding: zero(),
            output_padding: zero(),
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
        for (option, pair, least) in [
            ("kernel_size", self.kernel_size, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", self.padding, 0),
            ("output_padding", self.output_padding, 0),
        ] {
            cx.check_pair(option, pair, least)?;
        }
        let (extra, stride) = (self.output_padding, self.stride);
        if extra.height >= stride.height || extra.width >= stride.width {
            let wanted = format!("smaller than the stride {stride}");
            return Err(cx.option_error("output_padding", wanted, extra));
        }
        Ok(channels)
    }

    /// The size of the output's axis, if something is left of it.
    fn output_size(&self, axis: usize, size: usize) -> Option<usize> {
        let of = |pair: Pair| pair.to_array()[axis];
        let spread = (size.checked_sub(1)?).checked_mul(of(self.stride))?;
        let extent = of(self.dilation) * (of(self.kernel_size) - 1) + of(self.output_padding) + 1;
        spread.checked_add(extent)?.checked_sub(2 * of(self.padding)).filter(|&size| size > 0)
    }
}

impl Layer for ConvTranspose2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let dims = cx.dims(x);
        let sizes = [self.output_size(0, dims[2]), self.output_size(1, dims[3])];
        let [Some(height), Some(width)] = sizes else {
            let wanted = format!("so small that something is left of {} x {}", dims[2], dims[3]);
            return Err(cx.option_error("padding", wanted, self.padding));
        };
        let [kh, kw] = self.kernel_size.to_array();
        let shape = [channels, self.out_channels / self.groups, kh, kw];
        let fan = Fan::conv(shape);
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = cx.parameter("weight", &shape, init, fan)?;
        let window = ConvWindow {
            stride: self.stride.to_array(),
            pad_low: self.padding.to_array(),
            pad_high: self.padding.to_array(),
            dilation: self.dilation.to_array(),
            groups: self.groups,
        };
        let output = Shape::from([dims[0], self.out_channels, height, width]);
        let y = cx.graph.conv_input_grad(x, weight, window, &output)?;
        if self.bias { add_bias(cx, y, self.bias_init, fan) } else { Ok(y) }
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let products = (self.out_channels / self.groups.max(1))
            * self.kernel_size.height
            * self.kernel_size.width;
        2 * products as u64 * shapes.inputs() + u64::from(self.bias) * shapes.outputs()
    }
}
