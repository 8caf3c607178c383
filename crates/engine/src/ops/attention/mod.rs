//! Scaled dot-product attention: a composite with a gradient of its own, so that the matrix of all queries
//! against all keys need never be in memory.

mod gradient;
mod parts;
mod sizes;
#[cfg(test)]
mod tests;

use onestep_memory::Shape;

pub use gradient::AttentionGrad;
pub use sizes::AttentionSizes;

use super::{Gradients, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `softmax(scale q kᵀ + bias) v` over the keys that each query may see (Vaswani et al., "Attention Is All You
/// Need", 2017, section 3.2.1): `(q [b, h, t, d], k [b, g, s, d], v [b, g, s, e], ...)`. `h` is a multiple of
/// `g`: query head `i` reads key head `i / (h / g)` (grouped queries). A query that sees no key gives 0.
///
/// Further operands, in this order, each where its attribute is set: `bias` and `mask`, both f32 of rank 4
/// with each dimension that of `[b, h, t, s]` or 1, and `lengths` i32 `[b]`, how many keys of a sample there
/// are.
///
/// The result is a vector: the values `[b, t, h, e]`, and behind them `[b, h, t]` numbers that a kernel keeps
/// for the gradient, which nothing else reads. The builder method [`Graph::attention`] cuts the former out.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Query `i` sees the keys up to `i`, counted from the first of both.
    pub causal: bool,
    /// The factor of the products.
    pub scale: f32,
    /// Whether there is a `bias`, which is added to the scaled products.
    pub bias: bool,
    /// Whether there is a `mask`: a query sees a key where it is not 0.
    pub mask: bool,
    /// Whether there are `lengths`.
    pub lengths: bool,
    /// Where the weights of the keys are dropped at random.
    pub dropout: Option<AttentionDropout>,
}

super::equal_by_bits!(Attention, |op| (
    [op.causal, op.bias, op.mask, op.lengths],
    op.scale.to_bits(),
    op.dropout
));

/// Weights of keys that become 0 at random, the others being divided by `1 - p`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionDropout {
    /// The probability of a 0, in `[0, 1)`.
    pub p: f32,
    /// The random numbers: those of [`super::RandomUniform`] `[b, h, t, s]` of this stream. A weight stays where
    /// its number is at least `p`.
    pub stream: u32,
}

super::equal_by_bits!(AttentionDropout, |drop| (drop.p.to_bits(), drop.stream));

impl Attention {
    /// With this factor, each query seeing all keys.
    pub fn unhidden(scale: f32) -> Attention {
        let (causal, bias, mask, lengths) = (false, false, false, false);
        Attention { causal, scale, bias, mask, lengths, dropout: None }
    }

    /// How many operands it takes.
    pub(crate) fn operands(&self) -> usize {
        3 + [self.bias, self.mask, self.lengths].into_iter().filter(|&has| has).count()
    }

    /// Which operands are the bias, the mask and the lengths.
    pub fn extras(&self) -> [Option<usize>; 3] {
        let mut next = 3;
        [self.bias, self.mask, self.lengths].map(|has| {
            let at = has.then_some(next);
            next += usize::from(has);
            at
        })
    }
}

impl OpRule for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let sizes = AttentionSizes::check(self, inputs)?;
        Ok(Type::f32(Shape::new(&[sizes.values() + sizes.rows()])?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        gradient::rule(self, g, site, grad)
    }

    fn evaluate(&self, context: &Context, inputs: &[&Array], out: &Type) -> Array {
        let sizes = AttentionSizes::of(inputs.iter().map(|x| x.shape.dims()));
        let mut result = Array::filled(&out.shape, 0.0);
        let [_, _, v, ..] = inputs else { return result };
        sizes.for_each_row(|b, h, i| {
            let row = parts::Row::evaluate(self, context, inputs, sizes, [b, h, i]);
            for (j, weight) in row.kept().enumerate() {
                for e in 0..sizes.value {
                    result.data[sizes.value_at(b, h, i, e)] +=
                        weight * v.at(&[b, sizes.group(h), j, e]);
                }
            }
            result.data[sizes.values() + sizes.row_at(b, h, i)] = row.log_sum;
        });
        result
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        parts::forward(self, g, inputs).map(Some)
    }

    fn is_whole(&self) -> bool {
        true
    }
}
