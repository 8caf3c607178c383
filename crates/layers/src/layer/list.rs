//! The list of the layers, which makes [`LayerSpec`]: a layer is in the spec format by its line here.

use onestep_base::registry;
use onestep_engine::Value;

use super::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d,
    AdaptiveMaxPool3d, AlphaDropout, AvgPool1d, AvgPool2d, AvgPool3d, BatchNorm, Block, Celu,
    ChannelShuffle, ClassToken, Concat, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d,
    ConvTranspose3d, Custom, Dense, Dropout, Dropout1d, Dropout2d, Dropout3d, Elu, Embedding,
    EmbeddingBag, FeatureAlphaDropout, Flatten, Fold, Formula, Geglu, Gelu, GlobalAvgPool2d, Glu,
    GroupNorm, Gru, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, InstanceNorm, Layer, LayerNorm,
    LeakyRelu, LearnedPositions, LocalResponseNorm, LogSigmoid, LogSoftmax, Lstm, MaxPool1d,
    MaxPool2d, MaxPool3d, Mean, Mish, MultiHeadAttention, Multiply, Pad, PatchEmbedding, Permute,
    PixelShuffle, PixelUnshuffle, Prelu, QuickGelu, Recurrent, Relu, Relu6, Repeat, Reshape,
    Residual, RmsNorm, Rnn, Rotary, Rrelu, ScaledDotProductAttention, Select, Selu, Shapes,
    Sigmoid, Silu, SinusoidalPositions, Slice, Softmax, Softmin, Softplus, Softshrink, Softsign,
    Split, SquaredRelu, StochasticDepth, Sum, Swiglu, Tanh, Tanhshrink, Threshold,
    TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
    Unfold, Upsample,
};
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
    /// What the vectors of several indices make together.
    EmbeddingBag = "embedding_bag",
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
    /// A cell of one's own, along a sequence.
    Recurrent = "recurrent",
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
    /// Elman's recurrent network.
    Rnn = "rnn",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Gated recurrent units.
    Gru = "gru",
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
                | LayerSpec::EmbeddingBag(_)
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
                | LayerSpec::Rnn(_)
                | LayerSpec::Lstm(_)
                | LayerSpec::Gru(_)
                | LayerSpec::MultiHeadAttention(_)
                | LayerSpec::TransformerEncoderLayer(_)
                | LayerSpec::TransformerEncoder(_)
                | LayerSpec::TransformerDecoderLayer(_)
                | LayerSpec::TransformerDecoder(_)
                | LayerSpec::Recurrent(_)
                | LayerSpec::Custom(_)
        )
    }

    /// Whether the layer can work on one position after the other: it never looks from one at others,
    /// or it keeps what it needs of those before.
    pub(crate) fn decodes(&self) -> bool {
        !matches!(
            self,
            LayerSpec::Conv1d(_)
                | LayerSpec::Conv2d(_)
                | LayerSpec::Conv3d(_)
                | LayerSpec::ConvTranspose1d(_)
                | LayerSpec::ConvTranspose2d(_)
                | LayerSpec::ConvTranspose3d(_)
                | LayerSpec::MaxPool1d(_)
                | LayerSpec::MaxPool2d(_)
                | LayerSpec::MaxPool3d(_)
                | LayerSpec::AvgPool1d(_)
                | LayerSpec::AvgPool2d(_)
                | LayerSpec::AvgPool3d(_)
                | LayerSpec::AdaptiveAvgPool1d(_)
                | LayerSpec::AdaptiveAvgPool2d(_)
                | LayerSpec::AdaptiveAvgPool3d(_)
                | LayerSpec::AdaptiveMaxPool1d(_)
                | LayerSpec::AdaptiveMaxPool2d(_)
                | LayerSpec::AdaptiveMaxPool3d(_)
                | LayerSpec::GlobalAvgPool2d(_)
                | LayerSpec::Unfold(_)
                | LayerSpec::Fold(_)
                | LayerSpec::Flatten(_)
                | LayerSpec::Reshape(_)
                | LayerSpec::Pad(_)
                | LayerSpec::PixelShuffle(_)
                | LayerSpec::PixelUnshuffle(_)
                | LayerSpec::Upsample(_)
                | LayerSpec::InstanceNorm(_)
                | LayerSpec::GroupNorm(_)
                | LayerSpec::ClassToken(_)
                | LayerSpec::PatchEmbedding(_)
                | LayerSpec::ScaledDotProductAttention(_)
                | LayerSpec::TransformerDecoderLayer(_)
                | LayerSpec::TransformerDecoder(_)
                | LayerSpec::Mean(_)
                | LayerSpec::Slice(_)
                | LayerSpec::Split(_)
                | LayerSpec::Select(_)
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
