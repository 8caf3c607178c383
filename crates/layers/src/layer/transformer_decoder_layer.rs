//! One layer of a transformer's decoder.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::feed_forward::{FeedForwardActivation, Sublayers, dim_feedforward, dropout};
use super::norm::eps;
use super::{KeyPadding, Layer, LayerSpec, MultiHeadAttention, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// Attention to itself, attention to a memory, and two dense layers, each added to what it takes and normalised
/// (Vaswani et al., "Attention Is All You Need", 2017, section 3.1).
///
/// It takes `[positions, features]` and the memory `[others, features]`, most often what an encoder gives;
/// then what `key_padding` says of the positions, then what `memory_padding` says of the memory, where
/// those are asked for. Parameters, with PyTorch's names: those of `self_attn`, `multihead_attn`,
/// `linear1`, `linear2`, `norm1`, `norm2` and `norm3`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformerDecoderLayer {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Heads of attention.
    pub nhead: usize,
    /// The width between the dense layers; default 2048.
    #[serde(default = "dim_feedforward")]
    pub dim_feedforward: usize,
    /// The probability of a zero in training, of attention's weights too; default 0.1.
    #[serde(default = "dropout")]
    pub dropout: f32,
    /// Between the dense layers; default `relu`.
    #[serde(default)]
    pub activation: FeedForwardActivation,
    /// Added to variances; default 1e-5.
    #[serde(default = "eps")]
    pub layer_norm_eps: f32,
    /// Whether norms come before attention and the dense layers, not behind; default false.
    #[serde(default)]
    pub norm_first: bool,
    /// Whether attention, dense layers and norms have biases; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether a position sees only those up to itself (PyTorch's `tgt_is_causal`); default false.
    #[serde(default)]
    pub causal: bool,
    /// What a further input says of positions to ignore; default there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_padding: Option<KeyPadding>,
    /// What the last input says of the memory to ignore; default there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_padding: Option<KeyPadding>,
    /// How weights begin that none of the next option are; where it is said, biases begin at 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the weights of `out_proj` and `linear2` begin, whose results are added.
    #[serde(default, skip_serializing_if = "is_default")]
    pub residual_init: Initializer,
}

impl TransformerDecoderLayer {
    /// With PyTorch's defaults.
    pub fn new(nhead: usize) -> Self {
        TransformerDecoderLayer {
            name: None,
            nhead,
            dim_feedforward: dim_feedforward(),
            dropout: dropout(),
            activation: FeedForwardActivation::Relu,
            layer_norm_eps: eps(),
            norm_first: false,
            bias: true,
            causal: false,
            key_padding: None,
            memory_padding: None,
            weight_init: Initializer::Default,
            residual_init: Initializer::Default,
        }
    }

    fn sublayers(&self) -> Sublayers {
        Sublayers {
            dim_feedforward: self.dim_feedforward,
            dropout: self.dropout,
            activation: self.activation,
            layer_norm_eps: self.layer_norm_eps,
            norm_first: self.norm_first,
            bias: self.bias,
            weight_init: self.weight_init,
            residual_init: self.residual_init,
        }
    }

    fn attention(&self, causal: bool, key_padding: Option<KeyPadding>) -> LayerSpec {
        MultiHeadAttention {
            dropout: self.dropout,
            bias: self.bias,
            causal,
            key_padding,
            weight_init: self.weight_init,
            residual_init: self.residual_init,
            ..MultiHeadAttention::new(self.nhead)
        }
        .into()
    }
}

impl Layer for TransformerDecoderLayer {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.build_many(cx, &[x]).and_then(|values| cx.one(&values))
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let counts = [self.key_padding, self.memory_padding].map(|p| usize::from(p.is_some()));
        let [of_keys, of_memory] = counts;
        if inputs.len() != 2 + of_keys + of_memory {
            let wanted = format!(
                "{} inputs: positions, a memory, and what the options of padding ask for",
                2 + of_keys + of_memory
            );
            return Err(cx.input_error(wanted, format!("{} of them", inputs.len())));
        }
        let (x, memory, padding) = (inputs[0], inputs[1], &inputs[2..]);
        cx.expect_rank(x, 2, "[positions, features]")?;
        let (keys, others) = padding.split_at(of_keys);
        let sublayers = self.sublayers();
        let x = sublayers.around(cx, "norm1", x, |cx, x| {
            let attention = self.attention(self.causal, self.key_padding);
            let values = cx.apply_many("self_attn", &attention, &[&[x], keys].concat())?;
            cx.one(&values)
        })?;
        let x = sublayers.around(cx, "norm2", x, |cx, x| {
            let attention = self.attention(false, self.memory_padding);
            let inputs = [&[x, memory], others].concat();
            let values = cx.apply_many("multihead_attn", &attention, &inputs)?;
            cx.one(&values)
        })?;
        let y = sublayers.around(cx, "norm3", x, |cx, x| sublayers.feed_forward(cx, x))?;
        Ok(vec![y])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(3)
    }
}
