//! The fluent way to write a model.

mod methods;
mod sequences;

use crate::error::LayerError;
use crate::geometry::{Padding, Pair, Single, Triple};
use crate::input::{INPUT, InputSpec};
use crate::layer::{
    AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, AvgPool3d, BatchNorm, Block, ClassToken, Concat,
    Conv1d, Conv2d, Conv3d, ConvTranspose2d, Custom, Dense, Dropout, Elu, Embedding, Flatten, Gelu,
    GeluForm, GlobalAvgPool2d, GroupNorm, InstanceNorm, Layer, LayerNorm, LayerSpec, LeakyRelu,
    LearnedPositions, LogSoftmax, Lora, MaxPool1d, MaxPool2d, MaxPool3d, Mean, MultiHeadAttention,
    Multiply, PatchEmbedding, Permute, Prelu, Relu, Relu6, Repeat, Reshape, Residual, RmsNorm,
    Select, Sigmoid, Silu, SinusoidalPositions, Softmax, Sum, Tanh, TransformerDecoder,
    TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer, Upsample,
};
use crate::loss::LossTerm;
use crate::model::Model;
use crate::placed::Placed;
use crate::spec::ModelSpec;

/// Builds a [`ModelSpec`] layer by layer.
///
/// Each method appends one layer under a name; an empty name asks for the default, the type with a
/// number. Options without a place in a method are set on the options struct, which
/// [`layer`](Self::layer) takes. Mistakes are reported by [`build`](Self::build).
///
/// ```
/// use onestep_layers::{Branch, ModelBuilder};
///
/// let model = ModelBuilder::new([1, 8, 8])
///     .conv2d(8, 3, 1, 1, true, "conv1")
///     .relu("relu1")
///     .residual(
///         |body: Branch| body.conv2d(16, 3, 2, 1, false, "conv").batch_norm("bn"),
///         |shortcut: Branch| shortcut.conv2d(16, 1, 2, 0, false, "conv"),
///         "block1",
///     )
///     .global_avg_pool2d("pool")
///     .flatten("flat")
///     .dense(10, true, "fc")
///     .build()?;
/// assert_eq!(model.output_shape().dims(), &[10]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
///
/// A classifier of sequences:
///
/// ```
/// use onestep_layers::{ModelBuilder, TransformerEncoderLayer};
///
/// let model = ModelBuilder::indices([32])
///     .embedding(1000, 64, "embed")
///     .learned_positions(32, "positions")
///     .transformer_encoder(2, TransformerEncoderLayer::new(4), "encoder")
///     .mean([1], "mean")
///     .dense(5, true, "head")
///     .build()?;
/// assert_eq!(model.output_shape().dims(), &[5]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    spec: ModelSpec,
}

/// The layers of one branch of a [`ModelBuilder::residual`] or [`ModelBuilder::concat`], with the
/// same methods as [`ModelBuilder`].
#[derive(Clone, Debug, Default)]
pub struct Branch {
    layers: Vec<Placed>,
}

impl ModelBuilder {
    /// A model of f32 samples of the given shape, without the batch.
    pub fn new(input: impl Into<Vec<usize>>) -> Self {
        ModelBuilder { spec: ModelSpec::new("model", input, Vec::new()) }
    }

    /// A model of i32 samples, such as the indices of an [`embedding`](Self::embedding).
    pub fn indices(input: impl Into<Vec<usize>>) -> Self {
        ModelBuilder::with_inputs([(INPUT, InputSpec::indices(input))])
    }

    /// A model of several inputs by name. The first layer has to name what it takes
    /// ([`taking`](Self::taking)).
    ///
    /// ```
    /// use onestep_layers::{InputSpec, ModelBuilder, Sum};
    /// let pictures = [("left", InputSpec::new([64])), ("right", InputSpec::new([64]))];
    /// let model = ModelBuilder::with_inputs(pictures)
    ///     .dense(16, true, "a").taking(["left"])
    ///     .dense(16, true, "b").taking(["right"]).sharing("a")
    ///     .layer(Sum::weighted([1.0, -1.0])).taking(["a", "b"])
    ///     .dense(1, true, "score")
    ///     .output("score", "score")
    ///     .output("code", "a")
    ///     .build()?;
    /// assert_eq!(model.parameters().len(), 4);
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    pub fn with_inputs<N: Into<String>>(inputs: impl IntoIterator<Item = (N, InputSpec)>) -> Self {
        let inputs = inputs.into_iter().map(|(name, input)| (name.into(), input)).collect();
        let spec = ModelSpec::new("model", [1], Vec::new());
        ModelBuilder { spec: ModelSpec { inputs, ..spec } }
    }

    /// Gives what the layer called `from` gives as an output of this name. Without any, the last
    /// layer gives the only output.
    #[must_use]
    pub fn output(mut self, name: &str, from: &str) -> Self {
        self.spec.outputs.insert(name.to_owned(), from.to_owned());
        self
    }

    /// Adds a loss to what is minimised.
    #[must_use]
    pub fn loss(mut self, term: impl Into<LossTerm>) -> Self {
        self.spec.losses.push(term.into());
        self
    }

    /// Names the model.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.spec.name);
        self
    }

    /// The configuration.
    pub fn spec(self) -> ModelSpec {
        self.spec
    }

    /// The model with all shapes inferred.
    ///
    /// # Errors
    /// As [`ModelSpec::compile`].
    pub fn build(self) -> Result<Model, LayerError> {
        self.spec.compile()
    }

    fn list(&mut self) -> &mut Vec<Placed> {
        &mut self.spec.layers
    }
}

impl Branch {
    /// An empty branch: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    fn list(&mut self) -> &mut Vec<Placed> {
        &mut self.layers
    }
}

methods::layer_methods!(ModelBuilder, Branch);
sequences::sequence_methods!(ModelBuilder, Branch);
