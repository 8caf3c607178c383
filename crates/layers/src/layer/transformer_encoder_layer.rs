//! One layer of a transformer's encoder.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::feed_forward::{FeedForwardActivation, Sublayers, dim_feedforward, dropout};
use super::norm::eps;
use super::{KeyPadding, Layer, LayerSpec, MultiHeadAttention, Rotary, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// Attention to itself and two dense layers, each added to what it takes and normalised:
/// `x = norm1(x + self_attn(x))`, `y = norm2(x + linear2(activation(linear1(x))))` (Vaswani et al., "Attention
/// Is All You Need", 2017, section 3.1), or with `norm_first` `x + self_attn(norm1(x))` and so on. With
/// `causal` it is a layer of GPT.
///
/// Samples are `[positions, features]`. With `key_padding` it takes a second input, as
/// [`MultiHeadAttention`] does. Parameters, with PyTorch's names: those of `self_attn`, `linear1`, `linear2`,
/// `norm1` and `norm2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransformerEncoderLayer {
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
    /// Whether a position sees only those up to itself; default false.
    #[serde(default)]
    pub causal: bool,
    /// Heads of keys and values; default as many as `nhead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// What the second input says of positions to ignore; default there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_padding: Option<KeyPadding>,
    /// Turns queries and keys by their positions; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<Rotary>,
    /// Whether distant positions count less; default false.
    #[serde(default)]
    pub alibi: bool,
    /// How weights begin that none of the next option are; where it is said, biases begin at 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the weights of `out_proj` and `linear2` begin, whose results are added.
    #[serde(default, skip_serializing_if = "is_default")]
    pub residual_init: Initializer,
}

impl TransformerEncoderLayer {
    /// With PyTorch's defaults.
    pub fn new(nhead: usize) -> Self {
        TransformerEncoderLayer {
            name: None,
            nhead,
            dim_feedforward: dim_feedforward(),
            dropout: dropout(),
            activation: FeedForwardActivation::Relu,
            layer_norm_eps: eps(),
            norm_first: false,
            bias: true,
            causal: false,
            kv_heads: None,
            key_padding: None,
            rotary: None,
            alibi: false,
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

    fn attention(&self) -> LayerSpec {
        MultiHeadAttention {
            kv_heads: self.kv_heads,
            dropout: self.dropout,
            bias: self.bias,
            causal: self.causal,
            key_padding: self.key_padding,
            rotary: self.rotary.clone(),
            alibi: self.alibi,
            weight_init: self.weight_init,
            residual_init: self.residual_init,
            ..MultiHeadAttention::new(self.nhead)
        }
        .into()
    }
}

impl Layer for TransformerEncoderLayer {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.build_many(cx, &[x]).and_then(|values| cx.one(&values))
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let (x, padding) = match self.key_padding {
            Some(_) => cx.two(inputs).map(|[x, padding]| (x, Some(padding)))?,
            None => (cx.one(inputs)?, None),
        };
        cx.expect_rank(x, 2, "[positions, features]")?;
        let sublayers = self.sublayers();
        let x = sublayers.around(cx, "norm1", x, |cx, x| {
            let inputs: Vec<Value> = [Some(x), padding].into_iter().flatten().collect();
            let values = cx.apply_many("self_attn", &self.attention(), &inputs)?;
            cx.one(&values)
        })?;
        let y = sublayers.around(cx, "norm2", x, |cx, x| sublayers.feed_forward(cx, x))?;
        Ok(vec![y])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
