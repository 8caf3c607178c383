//! The layers. Each has one file with its options, its equation and its ops; it becomes part of
//! the spec format by one line in the list below.

mod activation;
mod adaptive;
mod adaptive_avg_pool;
mod adaptive_avg_pool1d;
mod adaptive_avg_pool2d;
mod adaptive_avg_pool3d;
mod adaptive_max_pool;
mod adaptive_max_pool1d;
mod adaptive_max_pool2d;
mod adaptive_max_pool3d;
mod alibi;
mod alpha_dropout;
mod avg_pool;
mod avg_pool1d;
mod avg_pool2d;
mod avg_pool3d;
mod batch_norm;
mod block;
mod celu;
mod channel_shuffle;
mod class_token;
mod concat;
mod conv;
mod conv1d;
mod conv2d;
mod conv3d;
mod conv_parts;
mod conv_transpose;
mod conv_transpose1d;
mod conv_transpose2d;
mod conv_transpose3d;
mod custom;
mod dense;
mod dropout;
mod dropout1d;
mod dropout2d;
mod dropout3d;
mod elementwise;
mod elu;
mod embedding;
mod feature_alpha_dropout;
mod feed_forward;
mod flatten;
mod fold;
mod formula;
mod geglu;
mod gelu;
mod global_avg_pool2d;
mod glu;
mod group_norm;
mod hardshrink;
mod hardsigmoid;
mod hardswish;
mod hardtanh;
mod instance_norm;
mod interface;
mod layer_norm;
mod leaky_relu;
mod learned_positions;
mod local_response_norm;
mod log_sigmoid;
mod log_softmax;
mod lora;
mod max_pool;
mod max_pool1d;
mod max_pool2d;
mod max_pool3d;
mod mean;
mod mish;
mod multi_head_attention;
mod multiply;
mod noise;
mod norm;
mod pad;
mod patch_embedding;
mod permute;
mod pixel_shuffle;
mod pixel_unshuffle;
mod pool;
mod prelu;
mod quick_gelu;
mod relu;
mod relu6;
mod repeat;
mod reshape;
mod residual;
mod rms_norm;
mod rotary;
mod rrelu;
mod scaled_dot_product_attention;
mod select;
mod selu;
mod sigmoid;
mod silu;
mod sinusoidal_positions;
mod slice;
mod softmax;
mod softmin;
mod softplus;
mod softshrink;
mod softsign;
mod split;
mod squared_relu;
mod stochastic_depth;
mod sum;
mod swiglu;
mod take;
mod tanh;
mod tanhshrink;
mod threshold;
mod transformer_decoder;
mod transformer_decoder_layer;
mod transformer_encoder;
mod transformer_encoder_layer;
mod unfold;
mod upsample;
mod window;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use adaptive_avg_pool1d::AdaptiveAvgPool1d;
pub use adaptive_avg_pool2d::AdaptiveAvgPool2d;
pub use adaptive_avg_pool3d::AdaptiveAvgPool3d;
pub use adaptive_max_pool::AdaptiveMaxPool;
pub use adaptive_max_pool1d::AdaptiveMaxPool1d;
pub use adaptive_max_pool2d::AdaptiveMaxPool2d;
pub use adaptive_max_pool3d::AdaptiveMaxPool3d;
pub use alpha_dropout::AlphaDropout;
pub use avg_pool::AvgPool;
pub use avg_pool1d::AvgPool1d;
pub use avg_pool2d::AvgPool2d;
pub use avg_pool3d::AvgPool3d;
pub use batch_norm::BatchNorm;
pub use block::Block;
pub use celu::Celu;
pub use channel_shuffle::ChannelShuffle;
pub use class_token::ClassToken;
pub use concat::Concat;
pub use conv::{Conv, PaddingMode};
pub use conv_transpose::ConvTranspose;
pub use conv_transpose1d::ConvTranspose1d;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv_transpose3d::ConvTranspose3d;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use conv3d::Conv3d;
pub use custom::{Custom, CustomLayer};
pub use dense::Dense;
pub use dropout::Dropout;
pub use dropout1d::Dropout1d;
pub use dropout2d::Dropout2d;
pub use dropout3d::Dropout3d;
pub use elu::Elu;
pub use embedding::Embedding;
pub use feature_alpha_dropout::FeatureAlphaDropout;
pub use feed_forward::FeedForwardActivation;
pub use flatten::Flatten;
pub use fold::Fold;
pub use formula::Formula;
pub use geglu::Geglu;
pub use gelu::{Gelu, GeluForm};
pub use global_avg_pool2d::GlobalAvgPool2d;
pub use glu::Glu;
pub use group_norm::GroupNorm;
pub use hardshrink::Hardshrink;
pub use hardsigmoid::Hardsigmoid;
pub use hardswish::Hardswish;
pub use hardtanh::Hardtanh;
pub use instance_norm::InstanceNorm;
pub use interface::{Layer, Many, Shapes};
pub use layer_norm::LayerNorm;
pub use leaky_relu::LeakyRelu;
pub use learned_positions::LearnedPositions;
pub use local_response_norm::LocalResponseNorm;
pub use log_sigmoid::LogSigmoid;
pub use log_softmax::LogSoftmax;
pub use lora::Lora;
pub use max_pool::MaxPool;
pub use max_pool1d::MaxPool1d;
pub use max_pool2d::MaxPool2d;
pub use max_pool3d::MaxPool3d;
pub use mean::Mean;
pub use mish::Mish;
pub use multi_head_attention::{KeyPadding, MultiHeadAttention};
pub use multiply::Multiply;
pub use pad::{Pad, PadMode};
pub use patch_embedding::PatchEmbedding;
pub use permute::Permute;
pub use pixel_shuffle::PixelShuffle;
pub use pixel_unshuffle::PixelUnshuffle;
pub use prelu::Prelu;
pub use quick_gelu::QuickGelu;
pub use relu::Relu;
pub use relu6::Relu6;
pub use repeat::Repeat;
pub use reshape::Reshape;
pub use residual::Residual;
pub use rms_norm::RmsNorm;
pub use rotary::Rotary;
pub use rrelu::Rrelu;
pub use scaled_dot_product_attention::ScaledDotProductAttention;
pub use select::Select;
pub use selu::Selu;
pub use sigmoid::Sigmoid;
pub use silu::Silu;
pub use sinusoidal_positions::SinusoidalPositions;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softmin::Softmin;
pub use softplus::Softplus;
pub use softshrink::Softshrink;
pub use softsign::Softsign;
pub use split::Split;
pub use squared_relu::SquaredRelu;
pub use stochastic_depth::{DropMode, StochasticDepth};
pub use sum::Sum;
pub use swiglu::Swiglu;
pub use tanh::Tanh;
pub use tanhshrink::Tanhshrink;
pub use threshold::Threshold;
pub use transformer_decoder::TransformerDecoder;
pub use transformer_decoder_layer::TransformerDecoderLayer;
pub use transformer_encoder::TransformerEncoder;
pub use transformer_encoder_layer::TransformerEncoderLayer;
pub use unfold::Unfold;
pub use upsample::{Upsample, UpsampleMode};

pub(crate) use activation::{log_sigmoid, softplus};

use onestep_base::registry;
use onestep_engine::Value;

use crate::context::BuildContext;
use crate::error::LayerError;

/// Makes [`LayerSpec`] of the list of layers, with access to the `name` that each has.
macro_rules! layers {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal),* $(,)?) => {
        registry! {
            kind = "layer type", plural = "types", form = object;
        /// One layer of a model: its type and its options. In JSON an object with a `type`.
        ///
        /// ```
        /// use onestep_layers::{Conv2d, LayerSpec};
        /// let layer: LayerSpec = serde_json::from_str(
        ///     r#"{"type": "conv2d", "name": "conv1", "out_channels": 8, "kernel_size": 3}"#,
        /// )?;
        /// assert_eq!(layer, Conv2d::new(8, 3).named("conv1").into());
        /// # Ok::<(), serde_json::Error>(())
        /// ```
            #[schemars(description = "One layer: its type and its options.")]
            pub enum LayerSpec: Layer { $($(#[doc = $about])+ $variant($variant) = $name),* }
        }

        impl LayerSpec {
            /// The name given to the layer, if any.
            pub fn name(&self) -> Option<&str> {
                match self {
                    $(LayerSpec::$variant(options) => options.name.as_deref()),*
                }
            }

            /// The layer under another name; an empty one asks for the default name.
            #[must_use]
            pub fn named(mut self, name: &str) -> Self {
                let name = (!name.is_empty()).then(|| name.to_owned());
                match &mut self {
                    $(LayerSpec::$variant(options) => options.name = name),*
                }
                self
            }
        }

        $(impl $variant {
            /// Gives the layer a name; an empty one asks for the default name.
            #[must_use]
            pub fn named(mut self, name: &str) -> Self {
                self.name = (!name.is_empty()).then(|| name.to_owned());
                self
            }
        })*
    };
}

layers! {
    /// A dense (fully connected) layer.
    Dense = "dense",
    /// A convolution over pictures.
    Conv2d = "conv2d",
    /// A transposed convolution over pictures.
    ConvTranspose2d = "conv_transpose2d",
    /// The largest element of each window of pictures.
    MaxPool2d = "max_pool2d",
    /// The mean of each window of pictures.
    AvgPool2d = "avg_pool2d",
    /// Means over as many windows as the output has elements, of pictures.
    AdaptiveAvgPool2d = "adaptive_avg_pool2d",
    /// The largest elements of as many windows as the output has, of pictures.
    AdaptiveMaxPool2d = "adaptive_max_pool2d",
    /// A convolution over sequences.
    Conv1d = "conv1d",
    /// A transposed convolution over sequences.
    ConvTranspose1d = "conv_transpose1d",
    /// The largest element of each window of sequences.
    MaxPool1d = "max_pool1d",
    /// The mean of each window of sequences.
    AvgPool1d = "avg_pool1d",
    /// Means over as many windows as the output has elements, of sequences.
    AdaptiveAvgPool1d = "adaptive_avg_pool1d",
    /// The largest elements of as many windows as the output has, of sequences.
    AdaptiveMaxPool1d = "adaptive_max_pool1d",
    /// A convolution over volumes.
    Conv3d = "conv3d",
    /// A transposed convolution over volumes.
    ConvTranspose3d = "conv_transpose3d",
    /// The largest element of each window of volumes.
    MaxPool3d = "max_pool3d",
    /// The mean of each window of volumes.
    AvgPool3d = "avg_pool3d",
    /// Means over as many windows as the output has elements, of volumes.
    AdaptiveAvgPool3d = "adaptive_avg_pool3d",
    /// The largest elements of as many windows as the output has, of volumes.
    AdaptiveMaxPool3d = "adaptive_max_pool3d",
    /// Windows of a picture as columns.
    Unfold = "unfold",
    /// A picture from its windows.
    Fold = "fold",
    /// The mean of each channel.
    GlobalAvgPool2d = "global_avg_pool2d",
    /// Several axes as one.
    Flatten = "flatten",
    /// Another shape for each sample.
    Reshape = "reshape",
    /// A border around each sample.
    Pad = "pad",
    /// Channels become pixels.
    PixelShuffle = "pixel_shuffle",
    /// Pixels become channels.
    PixelUnshuffle = "pixel_unshuffle",
    /// Channels of several groups, mixed.
    ChannelShuffle = "channel_shuffle",
    /// Pictures of another size.
    Upsample = "upsample",
    /// Normalisation of each channel over the batch.
    BatchNorm = "batch_norm",
    /// Normalisation of each sample.
    LayerNorm = "layer_norm",
    /// Normalisation of groups of channels.
    GroupNorm = "group_norm",
    /// Normalisation of each channel of each sample.
    InstanceNorm = "instance_norm",
    /// Normalisation of each sample by its root mean square.
    RmsNorm = "rms_norm",
    /// Normalisation across neighbouring channels.
    LocalResponseNorm = "local_response_norm",
    /// Random zeros in training.
    Dropout = "dropout",
    /// Whole channels of zeros in training, of sequences.
    Dropout1d = "dropout1d",
    /// Whole channels of zeros in training, of pictures.
    Dropout2d = "dropout2d",
    /// Whole channels of zeros in training, of volumes.
    Dropout3d = "dropout3d",
    /// Dropout that keeps mean and variance.
    AlphaDropout = "alpha_dropout",
    /// Dropout of channels that keeps mean and variance.
    FeatureAlphaDropout = "feature_alpha_dropout",
    /// Whole samples of zeros in training.
    StochasticDepth = "stochastic_depth",
    /// A table of vectors by index.
    Embedding = "embedding",
    /// A learned vector for each position, added.
    LearnedPositions = "learned_positions",
    /// Waves of fixed lengths for each position, added.
    SinusoidalPositions = "sinusoidal_positions",
    /// Positions as rotations.
    Rotary = "rotary",
    /// A learned position in front.
    ClassToken = "class_token",
    /// Pictures as sequences of patches.
    PatchEmbedding = "patch_embedding",
    /// Attention of several heads.
    MultiHeadAttention = "multi_head_attention",
    /// Attention and a feed-forward network.
    TransformerEncoderLayer = "transformer_encoder_layer",
    /// Encoder layers, one behind the other.
    TransformerEncoder = "transformer_encoder",
    /// Attention to itself and to a memory, and a feed-forward network.
    TransformerDecoderLayer = "transformer_decoder_layer",
    /// Decoder layers, one behind the other.
    TransformerDecoder = "transformer_decoder",
    /// The rectified linear unit.
    Relu = "relu",
    /// The rectified linear unit with a ceiling of 6.
    Relu6 = "relu6",
    /// A ReLU that leaks.
    LeakyRelu = "leaky_relu",
    /// The exponential linear unit.
    Elu = "elu",
    /// A leaky ReLU with a learned slope.
    Prelu = "prelu",
    /// The logistic function.
    Sigmoid = "sigmoid",
    /// The hyperbolic tangent.
    Tanh = "tanh",
    /// The sigmoid linear unit, also called swish.
    Silu = "silu",
    /// The Gaussian error linear unit.
    Gelu = "gelu",
    /// A line between two bounds.
    Hardtanh = "hardtanh",
    /// A piecewise linear logistic function.
    Hardsigmoid = "hardsigmoid",
    /// A piecewise swish.
    Hardswish = "hardswish",
    /// A continuously differentiable exponential linear unit.
    Celu = "celu",
    /// The scaled exponential linear unit.
    Selu = "selu",
    /// A leaky ReLU whose slope is drawn.
    Rrelu = "rrelu",
    /// The logarithm of the logistic function.
    LogSigmoid = "log_sigmoid",
    /// A smooth ReLU.
    Softplus = "softplus",
    /// A slowly saturating sign.
    Softsign = "softsign",
    /// The input, nearer to 0 by a number.
    Softshrink = "softshrink",
    /// Zero near 0, the input beyond.
    Hardshrink = "hardshrink",
    /// What the hyperbolic tangent leaves.
    Tanhshrink = "tanhshrink",
    /// A value in place of what is small.
    Threshold = "threshold",
    /// A smooth, self-gated unit.
    Mish = "mish",
    /// The square of the rectified linear unit.
    SquaredRelu = "squared_relu",
    /// An approximate GELU by a logistic function.
    QuickGelu = "quick_gelu",
    /// A gate of one half on the other.
    Glu = "glu",
    /// A gate by the sigmoid linear unit.
    Swiglu = "swiglu",
    /// A gate by the Gaussian error linear unit.
    Geglu = "geglu",
    /// Softmax of the negative.
    Softmin = "softmin",
    /// Softmax.
    Softmax = "softmax",
    /// The logarithm of softmax.
    LogSoftmax = "log_softmax",
    /// The sum of several inputs.
    Sum = "sum",
    /// The product of several inputs: a gate.
    Multiply = "multiply",
    /// Means over axes.
    Mean = "mean",
    /// The axes of each sample in another order.
    Permute = "permute",
    /// A part of each sample.
    Slice = "slice",
    /// Each sample in several parts.
    Split = "split",
    /// One element along an axis.
    Select = "select",
    /// Layers under one name.
    Block = "block",
    /// Layers several times.
    Repeat = "repeat",
    /// The sum of a body and a shortcut.
    Residual = "residual",
    /// Branches side by side.
    Concat = "concat",
    /// Attention over what other layers give.
    ScaledDotProductAttention = "scaled_dot_product_attention",
    /// A function of one's own, written in the specification.
    Formula = "formula",
    /// A layer of one's own.
    Custom = "custom",
}

impl LayerSpec {
    /// The name in messages and summaries: that of the type, or for a custom layer its own.
    pub(crate) fn display_type(&self) -> &str {
        match self {
            LayerSpec::Custom(custom) => custom.kind(),
            other => other.type_name(),
        }
    }

    /// Whether the layer only moves numbers or hands them on, so that they may be indices.
    pub(crate) fn takes_indices(&self) -> bool {
        matches!(
            self,
            LayerSpec::Embedding(_)
                | LayerSpec::Flatten(_)
                | LayerSpec::Reshape(_)
                | LayerSpec::Residual(_)
                | LayerSpec::Concat(_)
                | LayerSpec::Block(_)
                | LayerSpec::Repeat(_)
                | LayerSpec::Sum(_)
                | LayerSpec::Multiply(_)
                | LayerSpec::ScaledDotProductAttention(_)
                | LayerSpec::Formula(_)
                | LayerSpec::Permute(_)
                | LayerSpec::Slice(_)
                | LayerSpec::Split(_)
                | LayerSpec::Select(_)
                | LayerSpec::MultiHeadAttention(_)
                | LayerSpec::TransformerEncoderLayer(_)
                | LayerSpec::TransformerEncoder(_)
                | LayerSpec::TransformerDecoderLayer(_)
                | LayerSpec::TransformerDecoder(_)
                | LayerSpec::Custom(_)
        )
    }
}

impl Layer for LayerSpec {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.inner().build(cx, x)
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        self.inner().build_many(cx, inputs)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        self.inner().flops(shapes)
    }
}
