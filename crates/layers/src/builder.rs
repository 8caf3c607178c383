//! The fluent way to write a model.

use crate::error::LayerError;
use crate::geometry::{Padding, Pair};
use crate::layer::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm, Concat, Conv2d, Custom, Dense, Dropout, Elu,
    Embedding, Flatten, Gelu, GeluForm, GlobalAvgPool2d, Layer, LayerNorm, LayerSpec, LeakyRelu,
    LogSoftmax, MaxPool2d, Prelu, Relu, Reshape, Residual, Sigmoid, Silu, Softmax, Tanh,
};
use crate::model::Model;
use crate::spec::{InputSpec, InputType, ModelSpec};

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
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    spec: ModelSpec,
}

/// The layers of one branch of a [`ModelBuilder::residual`] or [`ModelBuilder::concat`], with the
/// same methods as [`ModelBuilder`].
#[derive(Clone, Debug, Default)]
pub struct Branch {
    layers: Vec<LayerSpec>,
}

impl ModelBuilder {
    /// A model of f32 samples of the given shape, without the batch.
    pub fn new(input: impl Into<Vec<usize>>) -> Self {
        ModelBuilder { spec: ModelSpec::new("model", input, Vec::new()) }
    }

    /// A model of i32 samples, such as the indices of an [`embedding`](Self::embedding).
    pub fn indices(input: impl Into<Vec<usize>>) -> Self {
        let input = InputSpec { shape: input.into(), dtype: InputType::I32 };
        ModelBuilder { spec: ModelSpec { name: "model".to_owned(), input, layers: Vec::new() } }
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

    fn list(&mut self) -> &mut Vec<LayerSpec> {
        &mut self.spec.layers
    }
}

impl Branch {
    /// An empty branch: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    fn list(&mut self) -> &mut Vec<LayerSpec> {
        &mut self.layers
    }
}

macro_rules! layer_methods {
    ($($builder:ident),*) => {$(
        /// One method a layer.
        impl $builder {
            /// Appends any layer.
            #[must_use]
            pub fn layer(mut self, layer: impl Into<LayerSpec>) -> Self {
                self.list().push(layer.into());
                self
            }

            fn push(self, layer: impl Into<LayerSpec>, name: &str) -> Self {
                self.layer(layer.into().named(name))
            }

            /// [`Dense`].
            #[must_use]
            pub fn dense(self, out_features: usize, bias: bool, name: &str) -> Self {
                self.push(Dense { bias, ..Dense::new(out_features) }, name)
            }

            /// [`Conv2d`].
            #[must_use]
            pub fn conv2d(
                self,
                out_channels: usize,
                kernel_size: impl Into<Pair>,
                stride: impl Into<Pair>,
                padding: impl Into<Padding>,
                bias: bool,
                name: &str,
            ) -> Self {
                let (stride, padding) = (stride.into(), padding.into());
                let base = Conv2d::new(out_channels, kernel_size);
                self.push(Conv2d { stride, padding, bias, ..base }, name)
            }

            /// [`MaxPool2d`] with windows side by side.
            #[must_use]
            pub fn max_pool2d(self, kernel_size: impl Into<Pair>, name: &str) -> Self {
                self.push(MaxPool2d::new(kernel_size), name)
            }

            /// [`AvgPool2d`] with windows side by side.
            #[must_use]
            pub fn avg_pool2d(self, kernel_size: impl Into<Pair>, name: &str) -> Self {
                self.push(AvgPool2d::new(kernel_size), name)
            }

            /// [`AdaptiveAvgPool2d`].
            #[must_use]
            pub fn adaptive_avg_pool2d(self, output_size: impl Into<Pair>, name: &str) -> Self {
                self.push(AdaptiveAvgPool2d::new(output_size), name)
            }

            /// [`GlobalAvgPool2d`].
            #[must_use]
            pub fn global_avg_pool2d(self, name: &str) -> Self {
                self.push(GlobalAvgPool2d::default(), name)
            }

            /// [`Flatten`] of all axes of a sample.
            #[must_use]
            pub fn flatten(self, name: &str) -> Self {
                self.push(Flatten::default(), name)
            }

            /// [`Reshape`] to the shape of a sample, of which one size may be -1.
            #[must_use]
            pub fn reshape(self, shape: impl Into<Vec<i64>>, name: &str) -> Self {
                self.push(Reshape::new(shape), name)
            }

            /// [`BatchNorm`] with PyTorch's defaults.
            #[must_use]
            pub fn batch_norm(self, name: &str) -> Self {
                self.push(BatchNorm::default(), name)
            }

            /// [`LayerNorm`] over the last axis.
            #[must_use]
            pub fn layer_norm(self, name: &str) -> Self {
                self.push(LayerNorm::default(), name)
            }

            /// [`Dropout`] with zeros of probability `p`.
            #[must_use]
            pub fn dropout(self, p: f32, name: &str) -> Self {
                self.push(Dropout::new(p), name)
            }

            /// [`Embedding`].
            #[must_use]
            pub fn embedding(
                self,
                num_embeddings: usize,
                embedding_dim: usize,
                name: &str,
            ) -> Self {
                self.push(Embedding::new(num_embeddings, embedding_dim), name)
            }

            /// [`Relu`].
            #[must_use]
            pub fn relu(self, name: &str) -> Self {
                self.push(Relu::default(), name)
            }

            /// [`LeakyRelu`].
            #[must_use]
            pub fn leaky_relu(self, negative_slope: f32, name: &str) -> Self {
                self.push(LeakyRelu::new(negative_slope), name)
            }

            /// [`Elu`].
            #[must_use]
            pub fn elu(self, alpha: f32, name: &str) -> Self {
                self.push(Elu::new(alpha), name)
            }

            /// [`Prelu`] with 1 slope or one a channel.
            #[must_use]
            pub fn prelu(self, num_parameters: usize, name: &str) -> Self {
                self.push(Prelu::new(num_parameters), name)
            }

            /// [`Sigmoid`].
            #[must_use]
            pub fn sigmoid(self, name: &str) -> Self {
                self.push(Sigmoid::default(), name)
            }

            /// [`Tanh`].
            #[must_use]
            pub fn tanh(self, name: &str) -> Self {
                self.push(Tanh::default(), name)
            }

            /// [`Silu`], also called swish.
            #[must_use]
            pub fn silu(self, name: &str) -> Self {
                self.push(Silu::default(), name)
            }

            /// [`Gelu`] in the given form.
            #[must_use]
            pub fn gelu(self, form: GeluForm, name: &str) -> Self {
                self.push(Gelu::new(form), name)
            }

            /// [`Softmax`] over an axis, the batch being 0; negative ones count from the end.
            #[must_use]
            pub fn softmax(self, dim: isize, name: &str) -> Self {
                self.push(Softmax::new(dim), name)
            }

            /// [`LogSoftmax`] over an axis, the batch being 0; negative ones count from the end.
            #[must_use]
            pub fn log_softmax(self, dim: isize, name: &str) -> Self {
                self.push(LogSoftmax::new(dim), name)
            }

            /// [`Residual`]: the sum of a body and a shortcut, which may stay empty
            /// (`|shortcut| shortcut`) for the identity.
            #[must_use]
            pub fn residual(
                self,
                body: impl FnOnce(Branch) -> Branch,
                shortcut: impl FnOnce(Branch) -> Branch,
                name: &str,
            ) -> Self {
                let shortcut = shortcut(Branch::new()).layers;
                self.push(Residual::new(body(Branch::new()).layers).with_shortcut(shortcut), name)
            }

            /// [`Concat`] along the channels: each closure fills one branch.
            #[must_use]
            pub fn concat<const N: usize>(
                self,
                branches: [&dyn Fn(Branch) -> Branch; N],
                name: &str,
            ) -> Self {
                let layers = branches.map(|branch| branch(Branch::new()).layers);
                self.push(Concat::new(layers), name)
            }

            /// [`Custom`]: a layer of one's own, from a type or a closure.
            ///
            /// ```
            /// use onestep_layers::{BuildContext, ModelBuilder};
            /// let model = ModelBuilder::new([4])
            ///     .custom("square", |cx: &mut BuildContext, x| Ok(cx.graph.square(x)?))
            ///     .build()?;
            /// assert!(model.spec().to_json().is_err(), "code has no name to be written by");
            /// # Ok::<(), onestep_layers::LayerError>(())
            /// ```
            #[must_use]
            pub fn custom(self, name: &str, layer: impl Layer + 'static) -> Self {
                self.push(Custom::new(layer), name)
            }
        }
    )*};
}

layer_methods!(ModelBuilder, Branch);
