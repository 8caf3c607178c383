//! The gradient of attention in its queries, keys, values and bias.

use onestep_memory::{DType, Shape};

use super::parts::{Row, Weights, grouped, sizes};
use super::{Attention, AttentionSizes};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};
use crate::ops::{Gradients, Op, OpRule, Site, expect_dtype, expect_inputs, expect_shape};

/// The gradients of [`Attention`] in its queries, keys and values, one behind the other as a vector:
/// `[b, t, h, d]`, `[b, s, g, d]` and `[b, s, g, e]`. The operands are those of the attention, its result, and
/// the gradient of its values `[b t h e]`. With the weights `p`, the gradient `dw = dy vᵀ` and `D = dy · y` (a
/// number a row): `ds = p (dw - D)`, `dq = scale ds k`, `dk = scale dsᵀ q`, `dv = pᵀ dy` (Dao et al.,
/// "FlashAttention", 2022, appendix B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionGrad {
    /// What it is the gradient of.
    pub of: Attention,
}

impl AttentionGrad {
    /// Where the gradients in queries, keys and values begin, and the length of all.
    pub fn bounds(sizes: AttentionSizes) -> [usize; 4] {
        let AttentionSizes { batch, heads, groups, queries, keys, depth, value } = sizes;
        let q = batch * queries * heads * depth;
        let k = q + batch * keys * groups * depth;
        [0, q, k, k + batch * keys * groups * value]
    }
}

/// The gradient rule of [`Attention`].
pub(super) fn rule(
    op: &Attention,
    g: &mut Graph,
    site: &Site<'_>,
    grad: Value,
) -> Result<Gradients, GraphError> {
    let sizes = sizes(g, site.inputs);
    let dy = g.slice_axis(grad, 0, 0, sizes.values())?;
    let mut operands = site.inputs.to_vec();
    operands.extend([site.output, dy]);
    let packed = g.push(Op::AttentionGrad(AttentionGrad { of: *op }), &operands)?;
    let bounds = AttentionGrad::bounds(sizes);
    let mut gradients: Gradients = vec![None; site.inputs.len()];
    for (at, slot) in gradients.iter_mut().enumerate().take(3) {
        let (b, heads, length, width) = match *g.shape(site.inputs[at]).dims() {
            [b, heads, length, width] => (b, heads, length, width),
            _ => return Err(GraphError::shape("attention", "rank 4", g.type_of(site.inputs[at]))),
        };
        let part = g.slice_axis(packed, 0, bounds[at], bounds[at + 1])?;
        let part = g.reshape(part, &[b, length, heads, width])?;
        *slot = Some(g.permute(part, &[0, 2, 1, 3])?);
    }
    if let [Some(at), ..] = op.extras() {
        // In primitives: only a bias that is learned needs it, and nothing else computes it.
        let dy = by_heads(g, dy, sizes)?;
        let scores = scores(op, g, site.inputs, dy, sizes)?;
        let dims = g.shape(site.inputs[at]).dims().to_vec();
        let spread = |axis: &usize| dims[*axis] == 1 && g.shape(scores).dims()[*axis] != 1;
        let axes: Vec<usize> = (0..4).filter(spread).collect();
        gradients[at] = Some(g.sum(scores, &axes, true)?);
    }
    Ok(gradients)
}

/// `[b t h e]` as `[b, h, t, e]`.
fn by_heads(g: &mut Graph, dy: Value, sizes: AttentionSizes) -> Result<Value, GraphError> {
    let AttentionSizes { batch, heads, queries, value, .. } = sizes;
    let dy = g.reshape(dy, &[batch, queries, heads, value])?;
    g.permute(dy, &[0, 2, 1, 3])
}

/// The gradient of the scores `[b, h, t, s]` as primitives.
fn scores(
    op: &Attention,
    g: &mut Graph,
    inputs: &[Value],
    dy: Value,
    sizes: AttentionSizes,
) -> Result<Value, GraphError> {
    let weights = Weights::build(op, g, inputs, sizes)?;
    let grouped = grouped(g, dy, sizes, sizes.value)?;
    let slopes = g.matmul_with(grouped, inputs[2], false, true)?;
    let slopes = g.reshape(slopes, &[sizes.batch, sizes.heads, sizes.queries, sizes.keys])?;
    let slopes = match weights.factor {
        Some(factor) => g.mul(slopes, factor)?,
        None => slopes,
    };
    let products = g.mul(weights.softmax, slopes)?;
    let sum = g.sum(products, &[3], true)?;
    let centred = g.sub(slopes, sum)?;
    g.mul(weights.softmax, centred)
}

impl OpRule for AttentionGrad {
    fn name(&self) -> &'static str {
        "attention_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let own = self.of.operands();
        expect_inputs(self.name(), inputs, own + 2)?;
        let sizes = AttentionSizes::check(&self.of, &inputs[..own])?;
        let lengths = [sizes.values() + sizes.rows(), sizes.values()];
        for (operand, length) in inputs[own..].iter().zip(lengths) {
            expect_dtype(self.name(), operand, DType::F32)?;
            expect_shape(self.name(), operand, &Shape::new(&[length])?)?;
        }
        let [.., length] = AttentionGrad::bounds(sizes);
        Ok(Type::f32(Shape::new(&[length])?))
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "second derivatives need softmax and products instead of attention";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, context: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut result = Array::filled(&out.shape, 0.0);
        let (&[.., _, dy], sizes) =
            (inputs, AttentionSizes::of(inputs.iter().map(|x| x.shape.dims())))
        else {
            return result;
        };
        let AttentionSizes { heads, groups, queries, keys, depth, value, .. } = sizes;
        let (q, k, v) = (inputs[0], inputs[1], inputs[2]);
        let [_, at_k, at_v, _] = AttentionGrad::bounds(sizes);
        let scale = f64::from(self.of.scale);
        sizes.for_each_row(|b, h, i| {
            let row = Row::evaluate(&self.of, context, inputs, sizes, [b, h, i]);
            let group = sizes.group(h);
            let dy = |e: usize| dy.data[sizes.value_at(b, h, i, e)];
            let slope = |j: usize| (0..value).map(|e| dy(e) * v.at(&[b, group, j, e])).sum::<f64>();
            let slopes: Vec<f64> = (0..keys).map(|j| slope(j) * row.factors[j]).collect();
            let sum: f64 = row.weights.iter().zip(&slopes).map(|(p, s)| p * s).sum();
            for (j, kept) in row.kept().enumerate() {
                let score = row.weights[j] * (slopes[j] - sum) * scale;
                for d in 0..depth {
                    let to = ((b * queries + i) * heads + h) * depth + d;
                    result.data[to] += score * k.at(&[b, group, j, d]);
                    let to = at_k + ((b * keys + j) * groups + group) * depth + d;
                    result.data[to] += score * q.at(&[b, h, i, d]);
                }
                for e in 0..value {
                    let to = at_v + ((b * keys + j) * groups + group) * value + e;
                    result.data[to] += kept * dy(e);
                }
            }
        });
        result
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        let &[q, k, _, .., dy] = inputs else {
            return Err(GraphError::shape(self.name(), "attention's operands", inputs.len()));
        };
        let sizes = sizes(g, inputs);
        let AttentionSizes { batch, heads, queries, keys, depth, .. } = sizes;
        let dy = by_heads(g, dy, sizes)?;
        let own = &inputs[..self.of.operands()];
        let scores = scores(&self.of, g, own, dy, sizes)?;
        let scores = g.scale(scores, self.of.scale)?;
        let scores = grouped(g, scores, sizes, keys)?;
        let of_q = g.matmul(scores, k)?;
        let of_q = g.reshape(of_q, &[batch, heads, queries, depth])?;
        let q = grouped(g, q, sizes, depth)?;
        let of_k = g.matmul_with(scores, q, true, false)?;
        let weights = Weights::build(&self.of, g, own, sizes)?.kept(g)?;
        let weights = grouped(g, weights, sizes, keys)?;
        let dy = grouped(g, dy, sizes, sizes.value)?;
        let of_v = g.matmul_with(weights, dy, true, false)?;
        let mut flat = Vec::with_capacity(3);
        for part in [of_q, of_k, of_v] {
            let part = g.permute(part, &[0, 2, 1, 3])?;
            let elements = g.shape(part).elements();
            flat.push(g.reshape(part, &[elements])?);
        }
        g.concat(&flat, 0).map(Some)
    }

    fn is_whole(&self) -> bool {
        true
    }
}
