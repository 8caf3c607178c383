//! Transformers: language models, a picture classifier, a text classifier, a translator.

use crate::builder::ModelBuilder;
use crate::initializer::Initializer;
use crate::input::InputSpec;
use crate::layer::{
    ClassToken, Dense, Embedding, FeedForwardActivation, Formula, KeyPadding, LearnedPositions,
    Mean, PatchEmbedding, Permute, Reshape, Select, SinusoidalPositions, TransformerDecoder,
    TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
};
use crate::spec::ModelSpec;

/// The sizes of a GPT.
pub(super) struct Sizes {
    pub(super) layers: usize,
    pub(super) width: usize,
    pub(super) heads: usize,
    pub(super) dropout: f32,
}

/// nanoGPT's network for a CPU: `[positions]` indices to `[classes, positions]`.
pub(super) fn nano_gpt(input: &[usize], classes: usize) -> ModelSpec {
    gpt(input[0], classes, &Sizes { layers: 4, width: 128, heads: 4, dropout: 0.0 })
}

/// nanoGPT's network for characters on an accelerator.
pub(super) fn nano_gpt_384(input: &[usize], classes: usize) -> ModelSpec {
    gpt(input[0], classes, &Sizes { layers: 6, width: 384, heads: 6, dropout: 0.2 })
}

/// GPT-2 as nanoGPT begins it: weights normal with the standard deviation 0.02, those of what is added
/// divided by the root of how much is; no biases; a head that is the table of the tokens.
fn gpt(positions: usize, classes: usize, sizes: &Sizes) -> ModelSpec {
    let weight_init = Initializer::normal(0.0, 0.02);
    let residual_init = Initializer::normal(0.0, 0.02 / (2.0 * sizes.layers as f32).sqrt());
    let layer = TransformerEncoderLayer {
        bias: false,
        dropout: sizes.dropout,
        weight_init,
        residual_init,
        ..causal(sizes.width, sizes.heads)
    };
    let stack = TransformerEncoder { norm: true, ..TransformerEncoder::new(sizes.layers, layer) };
    let mut model = ModelBuilder::indices([positions])
        .layer(Embedding { weight_init, ..Embedding::new(classes, sizes.width) }.named("wte"))
        .layer(LearnedPositions { weight_init, ..LearnedPositions::new(positions) }.named("wpe"));
    if sizes.dropout > 0.0 {
        model = model.dropout(sizes.dropout, "drop");
    }
    model
        .layer(stack.named("h"))
        .layer(Dense { bias: false, weight_init, ..Dense::new(classes) }.named("head"))
        .sharing("wte")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}

/// A layer of a GPT.
fn causal(width: usize, heads: usize) -> TransformerEncoderLayer {
    TransformerEncoderLayer {
        dim_feedforward: 4 * width,
        dropout: 0.0,
        activation: FeedForwardActivation::Gelu,
        norm_first: true,
        causal: true,
        ..TransformerEncoderLayer::new(heads)
    }
}

/// The reference workload.
pub(super) fn char_gpt(input: &[usize], classes: usize) -> ModelSpec {
    plain_gpt(input[0], classes, &Sizes { layers: 4, width: 128, heads: 4, dropout: 0.0 })
}

/// A GPT with biases, a head of its own, and PyTorch's initial values.
pub(super) fn plain_gpt(positions: usize, classes: usize, sizes: &Sizes) -> ModelSpec {
    let layer =
        TransformerEncoderLayer { dropout: sizes.dropout, ..causal(sizes.width, sizes.heads) };
    let stack = TransformerEncoder { norm: true, ..TransformerEncoder::new(sizes.layers, layer) };
    ModelBuilder::indices([positions])
        .embedding(classes, sizes.width, "te")
        .layer(LearnedPositions::new(positions).named("pe"))
        .layer(stack.named("b"))
        .dense(classes, false, "head")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}

/// ViT-Ti (Touvron et al., "Training data-efficient image transformers", 2021) with patches of 4 x 4.
pub(super) fn vit_tiny(input: &[usize], classes: usize) -> ModelSpec {
    const PATCH: usize = 4;
    const WIDTH: usize = 192;
    let weight_init = Initializer::normal(0.0, 0.02);
    let patches = (input[1] / PATCH) * (input[2] / PATCH);
    let layer = TransformerEncoderLayer { causal: false, layer_norm_eps: 1e-6, ..causal(WIDTH, 3) };
    let stack = TransformerEncoder { norm: true, ..TransformerEncoder::new(12, layer) };
    let positions = LearnedPositions { weight_init, ..LearnedPositions::new(patches + 1) };
    ModelBuilder::new(input)
        .layer(PatchEmbedding::new(WIDTH, PATCH).named("conv_proj"))
        .layer(ClassToken::new().named("class_token"))
        .layer(positions.named("pos_embedding"))
        .layer(stack.named("encoder"))
        .layer(Select::new(1, 0).named("class"))
        .dense(classes, true, "head")
        .spec()
}

/// Tokens, of which 0 fills up: `[positions]` to `[classes]`, the mean over what is no filling.
pub(super) fn text_encoder(input: &[usize], classes: usize, tokens: usize) -> ModelSpec {
    encoder_of_text(input[0], (classes, tokens), TransformerEncoderLayer::new(4).dropout)
}

/// The same with a dropout.
pub(super) fn encoder_of_text(
    positions: usize,
    (classes, tokens): (usize, usize),
    dropout: f32,
) -> ModelSpec {
    const WIDTH: usize = 128;
    let layer = TransformerEncoderLayer {
        dropout,
        dim_feedforward: 4 * WIDTH,
        activation: FeedForwardActivation::Gelu,
        norm_first: true,
        key_padding: Some(KeyPadding::Mask),
        ..TransformerEncoderLayer::new(4)
    };
    let stack = TransformerEncoder { norm: true, ..TransformerEncoder::new(2, layer) };
    ModelBuilder::indices([positions])
        .layer(Formula::new("where(x > 0.5, 0, 1)").named("padding"))
        .layer(Formula::new("1 - x").named("seen"))
        .layer(Reshape::new([-1, 1]).named("weight"))
        .layer(Mean::new([1]).named("share"))
        .embedding(tokens, WIDTH, "embed")
        .taking(["input"])
        .layer(SinusoidalPositions::new().named("positions"))
        .layer(stack.named("encoder"))
        .taking(["positions", "padding"])
        .multiply(["encoder", "weight"], "kept")
        .layer(Mean::new([1]).named("sum"))
        .layer(Formula::new("x0 / max(x1, 0.000001)").named("mean"))
        .taking(["sum", "share"])
        .dense(classes, true, "head")
        .spec()
}

/// An encoder and a decoder of 2 layers: `source` and `so_far`, `[positions]` indices of `classes` tokens each,
/// to `[classes, positions]`, what follows each of `so_far`.
pub(super) fn seq2seq(input: &[usize], classes: usize) -> ModelSpec {
    const WIDTH: usize = 64;
    let encoder = TransformerEncoderLayer {
        dim_feedforward: 4 * WIDTH,
        dropout: 0.0,
        norm_first: true,
        ..TransformerEncoderLayer::new(4)
    };
    let decoder = TransformerDecoderLayer {
        dim_feedforward: 4 * WIDTH,
        dropout: 0.0,
        norm_first: true,
        causal: true,
        ..TransformerDecoderLayer::new(4)
    };
    let encoder = TransformerEncoder { norm: true, ..TransformerEncoder::new(2, encoder) };
    let decoder = TransformerDecoder { norm: true, ..TransformerDecoder::new(2, decoder) };
    let positions = || LearnedPositions::new(input[0]);
    let sides = [("source", InputSpec::indices(input)), ("so_far", InputSpec::indices(input))];
    ModelBuilder::with_inputs(sides)
        .embedding(classes, WIDTH, "source_embed")
        .taking(["source"])
        .layer(positions().named("source_positions"))
        .layer(encoder.named("encoder"))
        .embedding(classes, WIDTH, "target_embed")
        .taking(["so_far"])
        .layer(positions().named("target_positions"))
        .layer(decoder.named("decoder"))
        .taking(["target_positions", "encoder"])
        .dense(classes, true, "head")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .spec()
}
