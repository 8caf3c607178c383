//! Cases of attention, transformers, positions and recurrent networks.

use onestep_layers::{
    Block, ClassToken, FeedForwardActivation, Gru, InitialState, LayerSpec, LearnedPositions, Lstm,
    MultiHeadAttention, PatchEmbedding, Placed, Rnn, RnnNonlinearity, Rotary, SinusoidalPositions,
    Slice, TransformerDecoder, TransformerDecoderLayer, TransformerEncoder,
    TransformerEncoderLayer,
};

use super::layers::{Case, case};

pub(super) fn all() -> Vec<Case> {
    let heads = MultiHeadAttention::new(2);
    let grouped = MultiHeadAttention {
        kv_heads: Some(2),
        rotary: Some(Rotary::new()),
        alibi: true,
        causal: true,
        bias: false,
        ..MultiHeadAttention::new(4)
    };
    let part = Rotary { dims: Some(2), interleaved: true, ..Rotary::new() };
    let patches = PatchEmbedding { bias: false, ..PatchEmbedding::new(3, [2, 1]) };
    let encoder = TransformerEncoderLayer { dim_feedforward: 3, ..TransformerEncoderLayer::new(2) };
    let first = TransformerEncoderLayer {
        activation: FeedForwardActivation::GeluTanh,
        norm_first: true,
        causal: true,
        ..encoder.clone()
    };
    let relu = Rnn { nonlinearity: RnnNonlinearity::Relu, bias: false, ..Rnn::new(3) };
    let lstm =
        Lstm { num_layers: 2, bidirectional: true, proj_size: 2, dropout: 0.3, ..Lstm::new(3) };
    let gru = Gru { bidirectional: true, initial: InitialState::Learned, ..Gru::new(3) };
    vec![
        case(LearnedPositions::new(4), &[3, 2], &[3, 2]),
        case(SinusoidalPositions::new(), &[3, 4], &[3, 4]),
        case(Rotary::new(), &[3, 4], &[3, 4]),
        case(part, &[2, 3, 3], &[2, 3, 3]),
        case(ClassToken::new(), &[2, 3], &[3, 3]),
        case(PatchEmbedding::new(3, 2), &[2, 4, 2], &[2, 3]),
        case(patches, &[1, 3, 2], &[2, 3]),
        case(heads.clone(), &[3, 4], &[3, 4]),
        case(MultiHeadAttention { dropout: 0.4, ..heads.clone() }, &[3, 4], &[3, 4]),
        case(grouped, &[3, 8], &[3, 8]),
        case(with_memory(heads), &[3, 4], &[3, 4]),
        case(encoder.clone(), &[2, 4], &[2, 4]),
        case(TransformerEncoder::new(2, encoder), &[2, 4], &[2, 4]),
        case(
            TransformerEncoder { norm: true, ..TransformerEncoder::new(1, first) },
            &[2, 4],
            &[2, 4],
        ),
        case(with_memory(decoder()), &[2, 4], &[2, 4]),
        case(with_memory(TransformerDecoder::new(2, decoder())), &[2, 4], &[2, 4]),
        case(Rnn::new(3), &[4, 2], &[4, 3]),
        case(relu, &[4, 2], &[4, 3]),
        case(Lstm::new(3), &[4, 2], &[4, 3]),
        case(lstm, &[3, 2], &[3, 4]),
        case(gru, &[3, 2], &[3, 6]),
    ]
}

fn decoder() -> TransformerDecoderLayer {
    TransformerDecoderLayer {
        dim_feedforward: 3,
        activation: FeedForwardActivation::Gelu,
        causal: true,
        ..TransformerDecoderLayer::new(2)
    }
}

/// The layer behind a memory, which is its input but for the first position.
fn with_memory(layer: impl Into<LayerSpec>) -> Block {
    let memory = Placed::from(Slice::new(1, 1, None).named("memory"));
    let taken = Placed::from(Slice::new(1, 0, None).named("all")).taking(["input"]);
    let layer = Placed::from(layer.into()).taking(["all", "memory"]);
    Block { name: None, body: vec![memory, taken, layer] }
}
