//! The methods for layers over sequences and volumes, as [`methods`](super::methods) has them for those of
//! pictures and plain numbers.

macro_rules! sequence_methods {
    ($($builder:ident),*) => {$(
        /// Layers over sequences and volumes.
        impl $builder {
            /// [`Conv1d`] over sequences `[c, l]`.
            #[must_use]
            pub fn conv1d(
                self,
                out_channels: usize,
                kernel_size: usize,
                stride: usize,
                padding: impl Into<Padding<Single>>,
                bias: bool,
                name: &str,
            ) -> Self {
                let (stride, padding) = (stride.into(), padding.into());
                let base = Conv1d::new(out_channels, kernel_size);
                self.push(Conv1d { stride, padding, bias, ..base }, name)
            }

            /// [`Conv3d`] over volumes `[c, d, h, w]`.
            #[must_use]
            pub fn conv3d(
                self,
                out_channels: usize,
                kernel_size: impl Into<Triple>,
                stride: impl Into<Triple>,
                padding: impl Into<Padding<Triple>>,
                bias: bool,
                name: &str,
            ) -> Self {
                let (stride, padding) = (stride.into(), padding.into());
                let base = Conv3d::new(out_channels, kernel_size);
                self.push(Conv3d { stride, padding, bias, ..base }, name)
            }

            /// [`ConvTranspose2d`] without padding, which makes pictures `stride` times as large where its
            /// windows lie side by side.
            #[must_use]
            pub fn conv_transpose2d(
                self,
                out_channels: usize,
                kernel_size: impl Into<Pair>,
                stride: impl Into<Pair>,
                bias: bool,
                name: &str,
            ) -> Self {
                let stride = stride.into();
                let base = ConvTranspose2d::new(out_channels, kernel_size);
                self.push(ConvTranspose2d { stride, bias, ..base }, name)
            }

            /// [`MaxPool1d`] with windows side by side.
            #[must_use]
            pub fn max_pool1d(self, kernel_size: usize, name: &str) -> Self {
                self.push(MaxPool1d::new(kernel_size), name)
            }

            /// [`AvgPool1d`] with windows side by side.
            #[must_use]
            pub fn avg_pool1d(self, kernel_size: usize, name: &str) -> Self {
                self.push(AvgPool1d::new(kernel_size), name)
            }

            /// [`MaxPool3d`] with windows side by side.
            #[must_use]
            pub fn max_pool3d(self, kernel_size: impl Into<Triple>, name: &str) -> Self {
                self.push(MaxPool3d::new(kernel_size), name)
            }

            /// [`AvgPool3d`] with windows side by side.
            #[must_use]
            pub fn avg_pool3d(self, kernel_size: impl Into<Triple>, name: &str) -> Self {
                self.push(AvgPool3d::new(kernel_size), name)
            }

            /// [`Upsample`] by a factor, each number to its nearest.
            #[must_use]
            pub fn upsample(self, scale_factor: f64, name: &str) -> Self {
                self.push(Upsample::new(scale_factor), name)
            }

            /// [`GroupNorm`] of so many groups.
            #[must_use]
            pub fn group_norm(self, num_groups: usize, name: &str) -> Self {
                self.push(GroupNorm::new(num_groups), name)
            }

            /// [`InstanceNorm`] with PyTorch's defaults.
            #[must_use]
            pub fn instance_norm(self, name: &str) -> Self {
                self.push(InstanceNorm::default(), name)
            }

            /// [`RmsNorm`] over the last axis.
            #[must_use]
            pub fn rms_norm(self, name: &str) -> Self {
                self.push(RmsNorm::default(), name)
            }

            /// [`Permute`]: the axes in another order, the batch being 0.
            #[must_use]
            pub fn permute(self, dims: impl Into<Vec<usize>>, name: &str) -> Self {
                self.push(Permute::new(dims), name)
            }

            /// [`Mean`] over axes, the batch being 0.
            #[must_use]
            pub fn mean(self, dims: impl Into<Vec<isize>>, name: &str) -> Self {
                self.push(Mean::new(dims), name)
            }

            /// [`Select`]: one place of an axis, such as the class token of a sequence.
            #[must_use]
            pub fn select(self, dim: isize, index: isize, name: &str) -> Self {
                self.push(Select::new(dim, index), name)
            }

            /// [`LearnedPositions`] of sequences of up to so many places.
            #[must_use]
            pub fn learned_positions(self, max_length: usize, name: &str) -> Self {
                self.push(LearnedPositions::new(max_length), name)
            }

            /// [`SinusoidalPositions`].
            #[must_use]
            pub fn sinusoidal_positions(self, name: &str) -> Self {
                self.push(SinusoidalPositions::default(), name)
            }

            /// [`ClassToken`]: a learnt place in front of a sequence.
            #[must_use]
            pub fn class_token(self, name: &str) -> Self {
                self.push(ClassToken::default(), name)
            }

            /// [`PatchEmbedding`]: pictures as sequences of patches.
            #[must_use]
            pub fn patch_embedding(
                self,
                embed_dim: usize,
                patch_size: impl Into<Pair>,
                name: &str,
            ) -> Self {
                self.push(PatchEmbedding::new(embed_dim, patch_size), name)
            }

            /// [`MultiHeadAttention`] of a sequence `[t, features]` to itself, or with
            /// [`taking`](Self::taking) to another one.
            #[must_use]
            pub fn multi_head_attention(self, num_heads: usize, name: &str) -> Self {
                self.push(MultiHeadAttention::new(num_heads), name)
            }

            /// [`TransformerEncoder`]: so many layers like this one.
            #[must_use]
            pub fn transformer_encoder(
                self,
                num_layers: usize,
                layer: TransformerEncoderLayer,
                name: &str,
            ) -> Self {
                self.push(TransformerEncoder::new(num_layers, layer), name)
            }

            /// [`TransformerDecoder`]: so many layers like this one, which takes the sequence so far and what
            /// an encoder gave.
            #[must_use]
            pub fn transformer_decoder<const N: usize>(
                self,
                num_layers: usize,
                layer: TransformerDecoderLayer,
                inputs: [&str; N],
                name: &str,
            ) -> Self {
                self.push(TransformerDecoder::new(num_layers, layer), name).taking(inputs)
            }
        }
    )*};
}

pub(super) use sequence_methods;
