//! Layers of transformers: attention, stacks and positions.

use super::layers::layer;
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

pub(super) fn cases() -> Vec<Case> {
    vec![
        layer("learned_positions", SUMS),
        layer("learned_positions_shorter", SUMS),
        layer("sinusoidal_positions", SUMS),
        layer("sinusoidal_positions_odd", SUMS),
        layer("rotary", SUMS),
        layer("rotary_heads", SUMS),
        layer("rotary_interleaved", SUMS),
        layer("rotary_part", SUMS),
        layer("class_token", SUMS),
        layer("patch_embedding", SUMS),
        layer("patch_embedding_remainder", SUMS),
        layer("multi_head_attention", SUMS),
        layer("multi_head_attention_no_bias", SUMS),
        layer("multi_head_attention_causal", SUMS),
        layer("multi_head_attention_eval", SUMS),
        layer("multi_head_attention_long", SUMS),
        layer("multi_head_attention_padding", SUMS),
        layer("multi_head_attention_cross", SUMS),
        layer("multi_head_attention_sizes", SUMS),
        layer("multi_head_attention_three", SUMS),
        layer("multi_head_attention_grouped", SUMS),
        layer("multi_head_attention_rotary", SUMS),
        layer("multi_head_attention_alibi", SUMS),
        layer("transformer_encoder_layer", SUMS),
        layer("transformer_encoder_layer_norm_first", SUMS),
        layer("transformer_encoder_layer_causal", SUMS),
        layer("transformer_encoder_layer_no_bias", SUMS),
        layer("transformer_encoder_layer_eval", SUMS),
        layer("transformer_encoder", SUMS),
        layer("transformer_encoder_norm", SUMS),
        layer("transformer_decoder_layer", SUMS),
        layer("transformer_decoder_layer_norm_first", SUMS),
        layer("transformer_decoder_layer_causal", SUMS),
        layer("transformer_decoder_layer_no_bias", SUMS),
        layer("transformer_decoder_layer_eval", SUMS),
        layer("transformer_decoder", SUMS),
        layer("transformer_decoder_norm", SUMS),
        layer("transformer_encoder_padding", SUMS),
        layer("transformer_decoder_layer_padding", SUMS),
    ]
}
