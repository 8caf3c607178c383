//! What attention is made of: its rows in f64, and primitives.

use super::{Attention, AttentionSizes};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::RandomUniform;
use onestep_base::philox;
use onestep_memory::{DType, Shape};

use crate::ops::Op;

/// The weights of the keys of one query.
pub(super) struct Row {
    /// The softmax; 0 where a key is not seen.
    pub(super) weights: Vec<f64>,
    /// What dropout multiplies each with.
    pub(super) factors: Vec<f64>,
    /// The logarithm of the sum of the exponentials, 0 where no key is seen.
    pub(super) log_sum: f64,
}

impl Row {
    pub(super) fn evaluate(
        op: &Attention,
        context: &Context,
        inputs: &[&Array],
        sizes: AttentionSizes,
        [b, h, i]: [usize; 3],
    ) -> Row {
        let (q, k, group) = (inputs[0], inputs[1], sizes.group(h));
        let [bias, mask, lengths] = op.extras();
        let spread = |at: usize, j: usize| {
            let dims = inputs[at].shape.dims();
            let index = [b, h, i, j];
            let index: [usize; 4] =
                std::array::from_fn(|n| if dims[n] == 1 { 0 } else { index[n] });
            inputs[at].at(&index)
        };
        let score = |j: usize| {
            let hidden = (op.causal && j > i)
                || lengths.is_some_and(|at| j as f64 >= inputs[at].data[b])
                || mask.is_some_and(|at| spread(at, j) == 0.0);
            if hidden {
                return f64::NEG_INFINITY;
            }
            let products = (0..sizes.depth).map(|d| q.at(&[b, h, i, d]) * k.at(&[b, group, j, d]));
            let product = products.sum::<f64>() * f64::from(op.scale);
            product + bias.map_or(0.0, |at| spread(at, j))
        };
        let scores: Vec<f64> = (0..sizes.keys).map(score).collect();
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let seen = max > f64::NEG_INFINITY || max.is_nan();
        let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
        let log_sum = if seen { max + sum.ln() } else { 0.0 };
        let weights = scores.iter().map(|x| if seen { (x - log_sum).exp() } else { 0.0 }).collect();
        let first = sizes.row_at(b, h, i) * sizes.keys;
        let factor = |j: usize| match op.dropout {
            None => 1.0,
            Some(drop) => {
                let number =
                    philox::uniform(context.seed, context.step, drop.stream, (first + j) as u64);
                if number >= drop.p { f64::from(1.0 / (1.0 - drop.p)) } else { 0.0 }
            }
        };
        Row { weights, factors: (0..sizes.keys).map(factor).collect(), log_sum }
    }

    /// The weights after dropout.
    pub(super) fn kept(&self) -> impl Iterator<Item = f64> {
        self.weights.iter().zip(&self.factors).map(|(weight, factor)| weight * factor)
    }
}

/// The weights of all keys as primitives.
pub(super) struct Weights {
    /// The softmax `[b, h, t, s]`, 0 where a key is not seen.
    pub(super) softmax: Value,
    /// What dropout multiplies it with.
    pub(super) factor: Option<Value>,
}

/// What the score of a hidden key becomes: far below all others, and finite.
const HIDDEN: f32 = -1e30;

impl Weights {
    pub(super) fn build(
        op: &Attention,
        g: &mut Graph,
        inputs: &[Value],
        sizes: AttentionSizes,
    ) -> Result<Weights, GraphError> {
        let all = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
        let grouped = grouped(g, inputs[0], sizes, sizes.depth)?;
        let scores = g.matmul_with(grouped, inputs[1], false, true)?;
        let scores = g.reshape(scores, &all)?;
        let mut scores = g.scale(scores, op.scale)?;
        let [bias, ..] = op.extras();
        if let Some(at) = bias {
            let bias = g.broadcast(inputs[at], &all)?;
            scores = g.add(scores, bias)?;
        }
        let seen = seen(op, g, inputs, sizes)?;
        let softmax = match seen {
            None => g.softmax(scores, 3)?,
            Some(seen) => {
                let seen = g.broadcast(seen, &all)?;
                let hidden = g.constant(HIDDEN)?;
                let hidden = g.broadcast(hidden, &all)?;
                let zero = g.constant(0.0)?;
                let zero = g.broadcast(zero, &all)?;
                let scores = g.select(seen, scores, hidden)?;
                let softmax = g.softmax(scores, 3)?;
                // A query that sees no key has equal weights for all by now.
                g.select(seen, softmax, zero)?
            }
        };
        let factor = match op.dropout {
            None => None,
            Some(drop) => {
                let shape = Shape::new(&all)?;
                let numbers = RandomUniform { shape, stream: drop.stream };
                let numbers = g.push(Op::RandomUniform(numbers), &[])?;
                let p = g.constant(drop.p)?;
                let kept = g.ge(numbers, p)?;
                Some(g.scale(kept, 1.0 / (1.0 - drop.p))?)
            }
        };
        Ok(Weights { softmax, factor })
    }

    /// Those after dropout.
    pub(super) fn kept(&self, g: &mut Graph) -> Result<Value, GraphError> {
        match self.factor {
            Some(factor) => g.mul(self.softmax, factor),
            None => Ok(self.softmax),
        }
    }
}

/// 1 where a query sees a key, else 0: of rank 4, each dimension whole or 1. `None` where each sees all.
fn seen(
    op: &Attention,
    g: &mut Graph,
    inputs: &[Value],
    sizes: AttentionSizes,
) -> Result<Option<Value>, GraphError> {
    let AttentionSizes { batch, queries, keys, .. } = sizes;
    let [bias, mask, lengths] = op.extras();
    let mut seen: Option<Value> = None;
    let mut and = |g: &mut Graph, more: Value| -> Result<(), GraphError> {
        seen = Some(match seen {
            Some(seen) => g.mul(seen, more)?,
            None => more,
        });
        Ok(())
    };
    if op.causal {
        let triangle =
            (0..queries * keys).map(|at| f32::from(at % keys.max(1) <= at / keys.max(1)));
        let triangle: Vec<f32> = triangle.collect();
        let triangle = g.constant_tensor(&[1, 1, queries, keys], &triangle)?;
        and(g, triangle)?;
    }
    if let Some(at) = lengths {
        let places: Vec<f32> = (0..keys).map(|j| j as f32).collect();
        let places = g.constant_tensor(&[1, 1, 1, keys], &places)?;
        let lengths = g.cast(inputs[at], DType::F32)?;
        let lengths = g.reshape(lengths, &[batch, 1, 1, 1])?;
        let within = g.lt(places, lengths)?;
        and(g, within)?;
    }
    if let Some(at) = mask {
        let zero = g.constant(0.0)?;
        let seen = g.ne(inputs[at], zero)?;
        and(g, seen)?;
    }
    if let Some(at) = bias {
        // -inf hides a key: a row of nothing else would be NaN.
        let least = g.constant(f32::MIN)?;
        let finite = g.ge(inputs[at], least)?;
        and(g, finite)?;
    }
    Ok(seen)
}

/// `[b, h, t, n]` as `[b, g, h / g * t, n]`: the rows of all heads that share one of the keys.
pub(super) fn grouped(
    g: &mut Graph,
    x: Value,
    sizes: AttentionSizes,
    width: usize,
) -> Result<Value, GraphError> {
    let rows = sizes.heads / sizes.groups * sizes.queries;
    g.reshape(x, &[sizes.batch, sizes.groups, rows, width])
}

/// The decomposition. What a kernel would keep for its gradient are zeros.
pub(super) fn forward(
    op: &Attention,
    g: &mut Graph,
    inputs: &[Value],
) -> Result<Value, GraphError> {
    let sizes = sizes(g, inputs);
    let AttentionSizes { batch, heads, queries, value, .. } = sizes;
    let weights = Weights::build(op, g, inputs, sizes)?.kept(g)?;
    let weights = grouped(g, weights, sizes, sizes.keys)?;
    let values = g.matmul(weights, inputs[2])?;
    let values = g.reshape(values, &[batch, heads, queries, value])?;
    let values = g.permute(values, &[0, 2, 1, 3])?;
    let values = g.reshape(values, &[sizes.values()])?;
    g.pad(values, &[0], &[sizes.rows()], 0.0)
}

pub(super) fn sizes(g: &Graph, inputs: &[Value]) -> AttentionSizes {
    AttentionSizes::of(inputs.iter().map(|&x| g.shape(x).dims()))
}
