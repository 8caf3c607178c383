//! Attention of several heads.

use onestep_engine::{AttentionOptions, DType, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::scaled_dot_product_attention::counts;
use super::{Dense, Layer, LayerSpec, Rotary, Shapes, alibi};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// What a further input of attention says of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPadding {
    /// `[keys]` numbers of any type: a key is ignored where it is not 0, as by PyTorch's `key_padding_mask`.
    Mask,
    /// `[1]` i32: how many keys there are; those behind are ignored.
    Lengths,
}

/// `softmax(q_h k_h^T / sqrt(d)) v_h` for each of `num_heads` heads of `d` numbers, side by side and through a
/// dense layer (Vaswani et al., "Attention Is All You Need", 2017, section 3.2): `[t, embed_dim]` to the same.
///
/// It takes one value, which attends to itself; two, queries and what they attend to (`[s, kdim]`); or
/// three, queries, keys and values. With `key_padding` one more follows. A query that may see no key gives
/// what the last bias is.
///
/// Parameters, with PyTorch's names and layouts: `in_proj_weight [embed_dim + 2 kv, embed_dim]` where `kv` is
/// `embed_dim` or that of `kv_heads` heads (or, where keys or values are of other sizes, `q_proj_weight`,
/// `k_proj_weight [kv, kdim]` and `v_proj_weight [kv, vdim]`), with `bias` `in_proj_bias`, and those of
/// the dense layer `out_proj`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiHeadAttention {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Heads, which share the numbers of a position among them.
    pub num_heads: usize,
    /// Heads of keys and values, each for as many heads of queries (grouped queries: Ainslie et al., "GQA",
    /// 2023); default as many as `num_heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// The probability that the weight of a key is dropped in training; default 0.
    #[serde(default)]
    pub dropout: f32,
    /// Whether biases are added; default true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Whether position `i` sees only keys up to `i`; default false.
    #[serde(default)]
    pub causal: bool,
    /// What the last input says of the keys; default none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_padding: Option<KeyPadding>,
    /// Turns queries and keys by their positions; default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<Rotary>,
    /// Whether distant keys count less (Press et al., "Train Short, Test Long", 2022); default false.
    #[serde(default)]
    pub alibi: bool,
    /// How the weights of queries, keys and values begin; default Xavier's uniform.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the weight of `out_proj` begins; default a dense layer's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub residual_init: Initializer,
}

/// Queries, keys and values as the inputs have them, and what hides keys.
struct Inputs {
    query: Value,
    key: Value,
    value: Value,
    padding: Option<Value>,
}

impl MultiHeadAttention {
    /// With so many heads, biases and PyTorch's initial values; every query sees every key.
    pub fn new(num_heads: usize) -> Self {
        MultiHeadAttention {
            name: None,
            num_heads,
            kv_heads: None,
            dropout: 0.0,
            bias: true,
            causal: false,
            key_padding: None,
            rotary: None,
            alibi: false,
            weight_init: Initializer::Default,
            residual_init: Initializer::Default,
        }
    }

    fn inputs(&self, cx: &BuildContext, inputs: &[Value]) -> Result<Inputs, LayerError> {
        let (given, padding) = match (self.key_padding, inputs) {
            (Some(_), [given @ .., padding]) => (given, Some(*padding)),
            _ => (inputs, None),
        };
        let (query, key, value) = match *given {
            [x] => (x, x, x),
            [query, memory] => (query, memory, memory),
            [query, key, value] => (query, key, value),
            _ => {
                let more = if self.key_padding.is_some() { ", and key_padding" } else { "" };
                let wanted = format!("one to three inputs (query, key, value){more}");
                return Err(cx.input_error(wanted, format!("{} of them", inputs.len())));
            }
        };
        for x in [query, key, value] {
            cx.expect_rank(x, 2, "[positions, features]")?;
        }
        let (keys, values) = (cx.dims(key)[1], cx.dims(value)[1]);
        if keys != values {
            return Err(cx.input_error(format!("a value for each of {keys} keys"), values));
        }
        Ok(Inputs { query, key, value, padding })
    }

    /// The size of a head, and how many keys have.
    fn heads(&self, cx: &BuildContext, width: usize) -> Result<[usize; 2], LayerError> {
        if self.num_heads == 0 || !width.is_multiple_of(self.num_heads) {
            let wanted = format!("a divisor of the {width} features of a position");
            return Err(cx.option_error("num_heads", wanted, self.num_heads));
        }
        let kv_heads = self.kv_heads.unwrap_or(self.num_heads);
        if kv_heads == 0 || !self.num_heads.is_multiple_of(kv_heads) {
            let wanted = format!("a divisor of the {} heads of queries", self.num_heads);
            return Err(cx.option_error("kv_heads", wanted, kv_heads));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(cx.option_error("dropout", "in [0, 1)", self.dropout));
        }
        Ok([width / self.num_heads, kv_heads])
    }

    /// Queries, keys and values `[batch, heads, positions, d]`.
    fn projected(
        &self,
        cx: &mut BuildContext,
        x: &Inputs,
        [head, kv_heads]: [usize; 2],
    ) -> Result<[Value; 3], LayerError> {
        let parts = [(x.query, self.num_heads), (x.key, kv_heads), (x.value, kv_heads)];
        let rows = parts.map(|(_, heads)| heads * head);
        let weights = self.weights(cx, x, rows)?;
        let bias = match self.bias {
            true => Some(cx.parameter(
                "in_proj_bias",
                &[rows.iter().sum()],
                Initializer::Zeros,
                Fan::NONE,
            )?),
            false => None,
        };
        let products = products(cx, parts.map(|(x, _)| x), weights, rows, bias)?;
        let mut result = products;
        for (value, (_, heads)) in result.iter_mut().zip(parts) {
            let dims = cx.dims(*value);
            let g = &mut cx.graph;
            let split = g.reshape(*value, &[dims[0], dims[1], heads, head])?;
            *value = g.permute(split, &[0, 2, 1, 3])?;
        }
        Ok(result)
    }

    /// One weight for all, or one each.
    fn weights(
        &self,
        cx: &mut BuildContext,
        x: &Inputs,
        rows: [usize; 3],
    ) -> Result<Weights, LayerError> {
        let widths = [x.query, x.key, x.value].map(|x| cx.dims(x)[2]);
        let init = self.weight_init.or(Initializer::XavierUniform(Default::default()));
        let mut declare = |name: &str, rows: usize, width: usize| {
            cx.parameter(name, &[rows, width], init, Fan::dense(width, rows))
        };
        if widths.iter().all(|&width| width == widths[0]) {
            return declare("in_proj_weight", rows.iter().sum(), widths[0]).map(Weights::One);
        }
        Ok(Weights::Each([
            declare("q_proj_weight", rows[0], widths[0])?,
            declare("k_proj_weight", rows[1], widths[1])?,
            declare("v_proj_weight", rows[2], widths[2])?,
        ]))
    }

    fn options(
        &self,
        cx: &mut BuildContext,
        padding: Option<Value>,
        [queries, keys]: [usize; 2],
    ) -> Result<AttentionOptions, LayerError> {
        let (mut mask, mut lengths) = (None, None);
        match (self.key_padding, padding) {
            (Some(KeyPadding::Mask), Some(padding)) => mask = Some(seen(cx, padding, keys)?),
            (Some(KeyPadding::Lengths), Some(padding)) => lengths = Some(counts(cx, padding)?),
            _ => {}
        }
        let bias = match (self.alibi, cx.position()) {
            (true, Some(place)) => {
                Some(alibi::bias_at(&mut cx.graph, self.num_heads, place, keys)?)
            }
            (true, None) => Some(alibi::bias(&mut cx.graph, self.num_heads, queries, keys)?),
            (false, _) => None,
        };
        let dropout = if cx.training() { self.dropout } else { 0.0 };
        // The last position sees all those so far.
        let so_far = cx.lengths_so_far()?;
        let (causal, lengths) = (self.causal && so_far.is_none(), so_far.or(lengths));
        Ok(AttentionOptions { causal, scale: None, bias, mask, lengths, dropout })
    }

    /// Refuses to decode where a position sees later ones, or what is not among the positions.
    fn check_decodes(&self, cx: &BuildContext, inputs: &Inputs) -> Result<(), LayerError> {
        let is_own = [inputs.key, inputs.value].iter().all(|&x| x == inputs.query);
        if !cx.decodes() || self.causal && is_own && inputs.padding.is_none() {
            return Ok(());
        }
        let wanted = "causal attention of one input to itself, without key_padding, to decode";
        let got = format!("causal: {}, key_padding: {:?}", self.causal, self.key_padding);
        Err(cx.input_error(wanted, got))
    }
}

/// The weight that makes queries, keys and values, or one for each.
enum Weights {
    One(Value),
    Each([Value; 3]),
}

/// `x W^T + b` for queries, keys and values, as few products as there are inputs: `[batch, positions, rows]`.
fn products(
    cx: &mut BuildContext,
    inputs: [Value; 3],
    weights: Weights,
    rows: [usize; 3],
    bias: Option<Value>,
) -> Result<[Value; 3], LayerError> {
    let ends = [rows[0], rows[0] + rows[1], rows.iter().sum()];
    let starts = [0, ends[0], ends[1]];
    let mut results = inputs;
    let mut part = 0;
    while part < 3 {
        // Neighbours of one input have one product.
        let same = match weights {
            Weights::One(_) => inputs[part..].iter().take_while(|&&x| x == inputs[part]).count(),
            Weights::Each(_) => 1,
        };
        let (first, last) = (starts[part], ends[part + same - 1]);
        let dims = cx.dims(inputs[part]);
        let g = &mut cx.graph;
        let weight = match weights {
            Weights::One(weight) => g.slice_axis(weight, 0, first, last)?,
            Weights::Each(weights) => weights[part],
        };
        let flat = g.reshape(inputs[part], &[dims[0] * dims[1], dims[2]])?;
        let mut y = g.matmul_with(flat, weight, false, true)?;
        if let Some(bias) = bias {
            let bias = g.slice_axis(bias, 0, first, last)?;
            y = g.add(y, bias)?;
        }
        let y = g.reshape(y, &[dims[0], dims[1], last - first])?;
        for at in part..part + same {
            results[at] = g.slice_axis(y, 2, starts[at] - first, ends[at] - first)?;
        }
        part += same;
    }
    Ok(results)
}

/// 1 where a key counts, `[batch, 1, 1, keys]`, of a mask that is not 0 where it does not.
fn seen(cx: &mut BuildContext, padding: Value, keys: usize) -> Result<Value, LayerError> {
    let dims = cx.dims(padding);
    if dims[1..] != [keys] {
        let wanted = format!("a key_padding mask of [{keys}] a sample");
        return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
    }
    let g = &mut cx.graph;
    let padding = match g.type_of(padding).dtype {
        DType::F32 => padding,
        _ => g.cast(padding, DType::F32)?,
    };
    let zero = g.constant(0.0)?;
    let seen = g.eq(padding, zero)?;
    Ok(g.reshape(seen, &[dims[0], 1, 1, keys])?)
}

impl Layer for MultiHeadAttention {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.attend(cx, &[x])
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        self.attend(cx, inputs).map(|y| vec![y])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        // Of attention to as many keys as there are queries; `out_proj` counts its own.
        let (length, width) = match shapes.input[..] {
            [length, width] => (length as u64, width as u64),
            _ => (0, 0),
        };
        let heads = self.num_heads.max(1) as u64;
        let rows = width + 2 * width / heads * self.kv_heads.map_or(heads, |count| count as u64);
        (length * width * 2).saturating_mul(rows).saturating_add(4 * length * length * width)
    }
}

impl MultiHeadAttention {
    fn attend(&self, cx: &mut BuildContext, inputs: &[Value]) -> Result<Value, LayerError> {
        let inputs = self.inputs(cx, inputs)?;
        let dims = cx.dims(inputs.query);
        let (length, width) = (dims[1], dims[2]);
        let sizes = self.heads(cx, width)?;
        self.check_decodes(cx, &inputs)?;
        let [mut query, mut key, value] = self.projected(cx, &inputs, sizes)?;
        if let Some(rotary) = &self.rotary {
            query = rotary.turn(cx, query)?;
            key = rotary.turn(cx, key)?;
        }
        let [key, value] = [cx.cached("keys", key)?, cx.cached("values", value)?];
        let keys = cx.dims(key)[2];
        let options = self.options(cx, inputs.padding, [length, keys])?;
        let g = &mut cx.graph;
        let heads = g.attention(query, key, value, options)?;
        let side_by_side = g.permute(heads, &[0, 2, 1, 3])?;
        let batch = cx.batch();
        let joined = cx.graph.reshape(side_by_side, &[batch, length, width])?;
        let out = Dense {
            bias: self.bias,
            weight_init: self.residual_init,
            bias_init: Initializer::Zeros,
            ..Dense::new(width)
        };
        cx.apply("out_proj", &LayerSpec::Dense(out), joined)
    }
}
