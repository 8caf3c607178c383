//! Attention over queries, keys and values that other layers give.

use onestep_engine::{AttentionOptions, DType, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `softmax(scale q kᵀ + mask) v` (Vaswani et al., "Attention Is All You Need", 2017, section 3.2.1) of
/// `"inputs": ["query", "key", "value"]`: `[h, t, d]`, `[h, s, d]`, `[h, s, e]` `-> [h, t, e]` for each sample,
/// or all three without heads: `[t, d]`, `[s, d]`, `[s, e]` `-> [t, e]`. One input is all three.
///
/// A fourth input is the mask: `[h, t, s]` for each sample, of which each may be 1, `[t, s]`, or `[s]`. Numbers
/// are added to the scores; of i32 or u8, a query sees a key where it is not 0. With `lengths` the last input is
/// i32 `[1]` for each sample: how many keys it has. A query that sees no key gives 0, with gradient 0.
/// A mask and `is_causal` may be given together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaledDotProductAttention {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability that the weight of a key is dropped in training; default 0.
    #[serde(default)]
    pub dropout_p: f32,
    /// Whether query `i` sees only the keys up to `i`, counted from the first of both; default false.
    #[serde(default)]
    pub is_causal: bool,
    /// The factor of the products; default `1 / sqrt(d)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
    /// Whether several heads of queries may share a head of keys and values; default false.
    #[serde(default)]
    pub enable_gqa: bool,
    /// Whether the last input says how many keys each sample has; default false.
    #[serde(default)]
    pub lengths: bool,
}

impl ScaledDotProductAttention {
    /// PyTorch's defaults.
    pub fn new() -> Self {
        ScaledDotProductAttention::default()
    }

    fn check(&self, cx: &BuildContext) -> Result<(), LayerError> {
        if !(0.0..1.0).contains(&self.dropout_p) {
            return Err(cx.option_error("dropout_p", "in [0, 1)", self.dropout_p));
        }
        match self.scale {
            Some(scale) if !scale.is_finite() => {
                Err(cx.option_error("scale", "a finite number", scale))
            }
            _ => Ok(()),
        }
    }

    /// Queries, keys and values with heads, and whether they had them.
    fn heads(
        &self,
        cx: &mut BuildContext,
        operands: [Value; 3],
    ) -> Result<([Value; 3], bool), LayerError> {
        let all = operands.map(|x| cx.dims(x));
        let rank = all[0].len();
        if !(3..=4).contains(&rank) || all.iter().any(|dims| dims.len() != rank) {
            let wanted = "[heads, tokens, features] or [tokens, features] of query, key and value";
            return Err(cx.input_error(wanted, format!("{:?} with the batch", all)));
        }
        let mut heads = operands;
        if rank == 3 {
            for (x, dims) in heads.iter_mut().zip(&all) {
                *x = cx.graph.reshape(*x, &[dims[0], 1, dims[1], dims[2]])?;
            }
        } else if !self.enable_gqa && all[0][1] != all[1][1] {
            let wanted = format!("{} heads of the key, or enable_gqa", all[0][1]);
            return Err(cx.input_error(wanted, all[1][1]));
        }
        Ok((heads, rank == 4))
    }

    /// A mask `[b, s]`, `[b, t, s]` or `[b, h, t, s]` as one of rank 4.
    fn mask(&self, cx: &mut BuildContext, mask: Value) -> Result<Value, LayerError> {
        let dims = match cx.dims(mask)[..] {
            [b, s] => [b, 1, 1, s],
            [b, t, s] => [b, 1, t, s],
            [b, h, t, s] => [b, h, t, s],
            _ => {
                let ty = cx.graph.type_of(mask);
                return Err(cx.input_error("a mask of [h, t, s], [t, s] or [s] a sample", ty));
            }
        };
        Ok(cx.graph.reshape(mask, &dims)?)
    }

    fn attend(&self, cx: &mut BuildContext, inputs: &[Value]) -> Result<Value, LayerError> {
        self.check(cx)?;
        let (lengths, inputs) = match (self.lengths, inputs) {
            (true, [inputs @ .., lengths]) => (Some(*lengths), inputs),
            _ => (None, inputs),
        };
        let (operands, mask) = match *inputs {
            [x] => ([x; 3], None),
            [q, k, v] => ([q, k, v], None),
            [q, k, v, mask] => ([q, k, v], Some(mask)),
            _ => {
                let wanted = match lengths.is_some() {
                    true => "one value or query, key, value, perhaps a mask, and lengths",
                    false => "one value or query, key, value, and perhaps a mask",
                };
                let got = inputs.len() + usize::from(lengths.is_some());
                return Err(cx.input_error(wanted, format!("{got} inputs")));
            }
        };
        let ([q, k, v], had_heads) = self.heads(cx, operands)?;
        let mut options = AttentionOptions {
            causal: self.is_causal,
            scale: self.scale,
            lengths: lengths.map(|x| counts(cx, x)).transpose()?,
            dropout: if cx.training() { self.dropout_p } else { 0.0 },
            ..Default::default()
        };
        if let Some(mask) = mask {
            let is_bias = cx.graph.type_of(mask).dtype == DType::F32;
            let mask = Some(self.mask(cx, mask)?);
            match is_bias {
                true => options.bias = mask,
                false => options.mask = mask,
            }
        }
        let y = cx.graph.attention(q, k, v, options)?;
        if had_heads {
            return Ok(y);
        }
        let dims = cx.dims(y);
        Ok(cx.graph.reshape(y, &[dims[0], dims[2], dims[3]])?)
    }
}

impl Layer for ScaledDotProductAttention {
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
        // Both products, with as many keys as queries.
        let [.., tokens, _] = shapes.input[..] else { return 0 };
        (shapes.inputs() + shapes.outputs()) * 2 * tokens as u64
    }
}

/// How many keys each sample has: i32 `[b, 1]` as `[b]`.
pub(super) fn counts(cx: &mut BuildContext, lengths: Value) -> Result<Value, LayerError> {
    let (dims, dtype) = (cx.dims(lengths), cx.graph.type_of(lengths).dtype);
    if dims[1..] != [1] || dtype != DType::I32 {
        let got = format!("{dtype} {:?}", &dims[1..]);
        return Err(cx.input_error("lengths as i32 [1] a sample", got));
    }
    Ok(cx.graph.reshape(lengths, &dims[..1])?)
}
