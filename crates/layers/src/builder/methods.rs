//! The methods that a model's and a branch's builder both have: one a layer. The layers are named as where
//! the macro is used.

macro_rules! layer_methods {
    ($($builder:ident),*) => {$(
        /// One method a layer.
        impl $builder {
            /// Appends any layer.
            #[must_use]
            pub fn layer(mut self, layer: impl Into<Placed>) -> Self {
                self.list().push(layer.into());
                self
            }

            /// Lets the layer that was appended last take what the layers or inputs of these names
            /// give, in place of the layer before it.
            #[must_use]
            pub fn taking<N: Into<String>>(
                mut self,
                inputs: impl IntoIterator<Item = N>,
            ) -> Self {
                if let Some(last) = self.list().last_mut() {
                    last.inputs = inputs.into_iter().map(Into::into).collect();
                }
                self
            }

            /// Lets the layer that was appended last use the parameters and states of the layer of
            /// this name.
            #[must_use]
            pub fn sharing(mut self, weights: &str) -> Self {
                if let Some(last) = self.list().last_mut() {
                    last.weights = Some(weights.to_owned());
                }
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

            /// [`Dense`] with a low-rank adapter.
            #[must_use]
            pub fn dense_lora(
                self,
                out_features: usize,
                bias: bool,
                lora: Lora,
                name: &str,
            ) -> Self {
                self.push(Dense { bias, lora: Some(lora), ..Dense::new(out_features) }, name)
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
                let body = body(Branch::new()).layers;
                self.push(Residual { name: None, body, shortcut }, name)
            }

            /// [`Concat`] along the channels: each closure fills one branch.
            #[must_use]
            pub fn concat<const N: usize>(
                self,
                branches: [&dyn Fn(Branch) -> Branch; N],
                name: &str,
            ) -> Self {
                let layers = branches.map(|branch| branch(Branch::new()).layers);
                let mut concat = Concat::inputs();
                concat.branches = layers.into();
                self.push(concat, name)
            }

            /// [`Block`]: the layers of the closure under one name.
            #[must_use]
            pub fn block(self, body: impl FnOnce(Branch) -> Branch, name: &str) -> Self {
                self.push(Block { name: None, body: body(Branch::new()).layers }, name)
            }

            /// [`Repeat`]: the layers of the closure so many times, each with parameters of its own.
            #[must_use]
            pub fn repeat(
                self,
                times: usize,
                body: impl FnOnce(Branch) -> Branch,
                name: &str,
            ) -> Self {
                self.push(Repeat { name: None, times, body: body(Branch::new()).layers }, name)
            }

            /// [`Relu6`].
            #[must_use]
            pub fn relu6(self, name: &str) -> Self {
                self.push(Relu6::default(), name)
            }

            /// [`Sum`] of what the layers or inputs of these names give.
            #[must_use]
            pub fn sum<const N: usize>(self, inputs: [&str; N], name: &str) -> Self {
                self.push(Sum::default(), name).taking(inputs)
            }

            /// [`Multiply`] of what the layers or inputs of these names give.
            #[must_use]
            pub fn multiply<const N: usize>(self, inputs: [&str; N], name: &str) -> Self {
                self.push(Multiply::default(), name).taking(inputs)
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

pub(super) use layer_methods;
