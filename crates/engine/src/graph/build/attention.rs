//! Attention.

use onestep_memory::DType;

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{Attention, AttentionDropout, AttentionSizes, Op};

/// Which keys a query of [`Graph::attention`] sees, and how their weights are made. By default each sees
/// all.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionOptions {
    /// Query `i` sees the keys up to `i`, counted from the first of both even where there are more keys.
    pub causal: bool,
    /// The factor of the products; by default `1 / sqrt(d)`.
    pub scale: Option<f32>,
    /// f32, added to the scaled products: of rank 4, each dimension that of `[b, h, t, s]` or 1.
    pub bias: Option<Value>,
    /// A query sees a key where this, of any type, is not 0: dimensions as of `bias`.
    pub mask: Option<Value>,
    /// i32 `[b]`: how many keys each sample has; those behind are not seen.
    pub lengths: Option<Value>,
    /// The probability that the weight of a key becomes 0, in `[0, 1)`; the others are divided by `1 - p`.
    pub dropout: f32,
}

impl Graph {
    /// `softmax(scale q kᵀ + bias) v`: queries `[b, h, t, d]`, keys `[b, g, s, d]` and values `[b, g, s, e]`
    /// to `[b, h, t, e]`, where `h` is a multiple of `g`. A query that sees no key gives 0, with gradient 0.
    ///
    /// ```
    /// use onestep_engine::{AttentionOptions, DType, Graph};
    /// # fn main() -> Result<(), onestep_engine::GraphError> {
    /// let mut g = Graph::new();
    /// let q = g.input("query", &[2, 4, 5, 8], DType::F32)?;
    /// let k = g.input("key", &[2, 2, 7, 8], DType::F32)?;
    /// let v = g.input("value", &[2, 2, 7, 3], DType::F32)?;
    /// let y = g.attention(q, k, v, AttentionOptions { causal: true, ..Default::default() })?;
    /// assert_eq!(g.shape(y).dims(), &[2, 4, 5, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes that do not fit, or a scale or a probability that is none.
    pub fn attention(
        &mut self,
        q: Value,
        k: Value,
        v: Value,
        options: AttentionOptions,
    ) -> Result<Value, GraphError> {
        let AttentionOptions { causal, scale, bias, mask, lengths, dropout } = options;
        let depth = self.shape(q).dims().last().copied().unwrap_or(1).max(1);
        let dropout = match dropout {
            0.0 => None,
            p => Some(AttentionDropout { p, stream: self.next_stream() }),
        };
        let op = Attention {
            causal,
            scale: scale.unwrap_or(1.0 / (depth as f32).sqrt()),
            bias: bias.is_some(),
            mask: mask.is_some(),
            lengths: lengths.is_some(),
            dropout,
        };
        let mask = match mask {
            Some(mask) if self.type_of(mask).dtype != DType::F32 => {
                Some(self.cast(mask, DType::F32)?)
            }
            mask => mask,
        };
        let mut operands = vec![q, k, v];
        operands.extend([bias, mask, lengths].into_iter().flatten());
        let packed = self.push(Op::Attention(op), &operands)?;
        let dims = [q, k, v].map(|x| self.shape(x).clone());
        let sizes = AttentionSizes::of(dims.iter().map(|shape| shape.dims()));
        let AttentionSizes { batch, heads, queries, value, .. } = sizes;
        let values = self.slice_axis(packed, 0, 0, sizes.values())?;
        let values = self.reshape(values, &[batch, queries, heads, value])?;
        self.permute(values, &[0, 2, 1, 3])
    }
}
