//! Transposed convolutions over sequences, pictures and volumes.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{one, one_group, zero};
use super::conv_parts::{Channels, add_bias, fan};
use super::dense::{is_default, yes};
use super::parametrization::{Parametrization, Weight};
use super::window::{self, Window};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;
use crate::initializer::Initializer;

/// The gradient of a [`Conv`](super::Conv) in its input, as a layer: `[c, size...] -> [out_channels, size'...]`
/// with `size' = (size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1` (Zeiler et
/// al., "Deconvolutional Networks", 2010).
///
/// Parameters: `weight [c, out_channels / groups, kernel sizes...]` or those of its
/// [`Parametrization`], and with `bias` `bias [out_channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "ConvTranspose{S}")]
pub struct ConvTranspose<S: Sizes> {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Channels of the input. Inferred; checked where they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_channels: Option<usize>,
    /// Channels of the output.
    pub out_channels: usize,
    /// The size of the kernel.
    pub kernel_size: S,
    /// The step from what one input adds to to the next; default 1.
    #[serde(default = "one::<S>")]
    pub stride: S,
    /// How many elements of the output are cut off at each side; default 0.
    #[serde(default = "zero::<S>")]
    pub padding: S,
    /// Elements behind the last that are kept in addition; smaller than the stride, default 0.
    #[serde(default = "zero::<S>")]
    pub output_padding: S,
    /// The step from one element of the kernel to the next; default 1.
    #[serde(default = "one::<S>")]
    pub dilation: S,
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
    /// How the weight is made of what is learned; default as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parametrization: Option<Parametrization>,
}

impl<S: Sizes> ConvTranspose<S> {
    /// With stride 1, no padding, a bias and PyTorch's initial values.
    pub fn new(out_channels: usize, kernel_size: impl Into<S>) -> Self {
        ConvTranspose {
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
            parametrization: None,
        }
    }

    fn check(&self, cx: &BuildContext, x: Value) -> Result<usize, LayerError> {
        let (input, output) = (self.in_channels, self.out_channels);
        let channels = Channels { input, output, groups: self.groups }.check::<S>(cx, x)?;
        for (option, sizes, least) in [
            ("kernel_size", self.kernel_size, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", self.padding, 0),
            ("output_padding", self.output_padding, 0),
        ] {
            cx.check_sizes(option, sizes, least)?;
        }
        let (extra, stride) = (self.output_padding, self.stride);
        if extra.to_vec().iter().zip(stride.to_vec()).any(|(&extra, stride)| extra >= stride) {
            let wanted = format!("smaller than the stride {stride}");
            return Err(cx.option_error("output_padding", wanted, extra));
        }
        Ok(channels)
    }

    fn window(&self) -> Window {
        Window {
            size: self.kernel_size.to_vec(),
            stride: self.stride.to_vec(),
            low: self.padding.to_vec(),
            high: self.padding.to_vec(),
            dilation: self.dilation.to_vec(),
        }
    }

    /// The size of the output's axis, if something is left of it.
    fn output_size(&self, window: &Window, axis: usize, size: usize) -> Option<usize> {
        let spread = size.checked_sub(1)?.checked_mul(window.stride[axis])?;
        let extent = window.extent(axis) + self.output_padding.to_vec()[axis];
        spread.checked_add(extent)?.checked_sub(2 * window.low[axis]).filter(|&size| size > 0)
    }
}

impl<S: Sizes> Layer for ConvTranspose<S> {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let (dims, window) = (cx.dims(x), self.window());
        let sizes = dims[2..].iter().enumerate();
        let sizes: Option<Vec<usize>> =
            sizes.map(|(axis, &size)| self.output_size(&window, axis, size)).collect();
        let Some(sizes) = sizes else {
            let before: Vec<String> = dims[2..].iter().map(usize::to_string).collect();
            let wanted = format!("so small that something is left of {}", before.join(" x "));
            return Err(cx.option_error("padding", wanted, self.padding));
        };
        let shape = [&[channels, self.out_channels / self.groups], &window.size[..]].concat();
        let fan = fan(&shape);
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = Weight::conv(&shape, init, fan).build(cx, self.parametrization)?;
        let output = [&[dims[0], self.out_channels], &sizes[..]].concat();
        let g = &mut cx.graph;
        let y = window::conv_transposed(g, x, weight, &window, self.groups, &output)?;
        if self.bias { add_bias(cx, y, self.bias_init, fan) } else { Ok(y) }
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let kernel = self.kernel_size.to_vec().iter().product::<usize>();
        let products = self.out_channels / self.groups.max(1) * kernel;
        2 * products as u64 * shapes.inputs() + u64::from(self.bias) * shapes.outputs()
    }
}
