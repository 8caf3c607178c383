//! Convolutions over sequences, pictures and volumes.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv_parts::{Channels, add_bias, fan};
use super::dense::{is_default, yes};
use super::pad::{Pad, PadMode};
use super::parametrization::{Parametrization, Weight};
use super::window::{self, Window};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::{Padding, Sizes};
use crate::initializer::Initializer;

/// What stands around a sample that a convolution goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// What lies inside, mirrored at the edge, which is not repeated.
    Reflect,
    /// The edge, repeated.
    Replicate,
    /// What lies at the other side.
    Circular,
}

impl PaddingMode {
    /// The border to make before the convolution, which brings zeros itself.
    fn border(self) -> Option<PadMode> {
        match self {
            PaddingMode::Zeros => None,
            PaddingMode::Reflect => Some(PadMode::Reflect),
            PaddingMode::Replicate => Some(PadMode::Replicate),
            PaddingMode::Circular => Some(PadMode::Circular),
        }
    }

    fn is_zeros(&self) -> bool {
        *self == PaddingMode::Zeros
    }
}

/// `y[o, p] = b[o] + sum over c, q of x[c, p stride + q dilation - padding] w[o, c, q]` within each
/// of `groups` groups of channels: `[c, size...] -> [out_channels, size'...]` with
/// `size' = floor((size + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1`. It is a
/// cross-correlation, as everywhere in the field.
///
/// Parameters: `weight [out_channels, c / groups, kernel sizes...]` or those of its
/// [`Parametrization`], and with `bias` `bias [out_channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "Conv{S}")]
pub struct Conv<S: Sizes> {
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
    /// The step from one output to the next; default 1.
    #[serde(default = "one::<S>")]
    pub stride: S,
    /// How much stands around the sample; default 0.
    #[serde(default)]
    pub padding: Padding<S>,
    /// What stands around the sample: `zeros` (default), `reflect`, `replicate` or `circular`.
    #[serde(default, skip_serializing_if = "PaddingMode::is_zeros")]
    pub padding_mode: PaddingMode,
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

pub(super) fn one<S: Sizes>() -> S {
    S::from(1)
}

pub(super) fn zero<S: Sizes>() -> S {
    S::from(0)
}

pub(super) fn one_group() -> usize {
    1
}

impl<S: Sizes> Conv<S> {
    /// With stride 1, no padding, a bias and PyTorch's initial values.
    pub fn new(out_channels: usize, kernel_size: impl Into<S>) -> Self {
        Conv {
            name: None,
            in_channels: None,
            out_channels,
            kernel_size: kernel_size.into(),
            stride: one(),
            padding: Padding::default(),
            padding_mode: PaddingMode::Zeros,
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
        let sizes = [
            ("kernel_size", self.kernel_size),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ];
        for (option, sizes) in sizes {
            cx.check_sizes(option, sizes, 1)?;
        }
        Ok(channels)
    }

    fn window(&self, cx: &BuildContext) -> Result<Window, LayerError> {
        let none = vec![0; S::AXES];
        let mut window = Window {
            size: self.kernel_size.to_vec(),
            stride: self.stride.to_vec(),
            low: none.clone(),
            high: none,
            dilation: self.dilation.to_vec(),
        };
        match self.padding {
            Padding::Valid => {}
            Padding::Explicit(sizes) => {
                cx.check_sizes("padding", sizes, 0)?;
                (window.low, window.high) = (sizes.to_vec(), sizes.to_vec());
            }
            Padding::Same if self.stride != one() => {
                let wanted = format!("explicit where the stride is not 1 ({})", S::FORM);
                return Err(cx.option_error("padding", wanted, "\"same\""));
            }
            Padding::Same => {
                let totals: Vec<usize> = window.extents().iter().map(|extent| extent - 1).collect();
                window.low = totals.iter().map(|total| total / 2).collect();
                window.high = totals.iter().map(|total| total - total / 2).collect();
            }
        }
        Ok(window)
    }

    /// `x` with its border, where the convolution does not bring it itself.
    fn bordered(
        &self,
        cx: &mut BuildContext,
        x: Value,
        window: &mut Window,
    ) -> Result<Value, LayerError> {
        let Some(mode) = self.padding_mode.border() else { return Ok(x) };
        let sides = window.low.iter().zip(&window.high);
        let padding: Vec<[usize; 2]> = sides.map(|(&low, &high)| [low, high]).collect();
        let x = Pad { mode, ..Pad::new(padding) }.build(cx, x)?;
        (window.low, window.high) = (vec![0; S::AXES], vec![0; S::AXES]);
        Ok(x)
    }
}

impl<S: Sizes> Layer for Conv<S> {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let channels = self.check(cx, x)?;
        let mut window = self.window(cx)?;
        cx.check_fit::<S>(x, &window.extents(), |axis, size| window.count(axis, size))?;
        let shape = [&[self.out_channels, channels / self.groups], &window.size[..]].concat();
        let fan = fan(&shape);
        let init = self.weight_init.or(Initializer::weight_default());
        let weight = Weight::conv(&shape, init, fan).build(cx, self.parametrization)?;
        let x = self.bordered(cx, x, &mut window)?;
        let y = window::conv(&mut cx.graph, x, weight, &window, self.groups)?;
        if self.bias { add_bias(cx, y, self.bias_init, fan) } else { Ok(y) }
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let channels = shapes.input.first().copied().unwrap_or(0) / self.groups.max(1);
        let products = self.kernel_size.to_vec().iter().product::<usize>() * channels;
        shapes.per_output(2 * products as u64 + u64::from(self.bias))
    }
}
