//! The gradient of a recurrence, by a walk back through its steps.

use onestep_memory::{DType, Shape};

use super::unrolled::{Unrolled, evaluate, joined, sizes, stacked};
use super::{Cell, Recurrence, RecurrenceSizes};
use crate::array::{Array, Context};
use crate::autodiff::gradients;
use crate::graph::{Graph, GraphError, Type, Value};
use crate::ops::apart::apart;
use crate::ops::{Gradients, Op, OpRule, Site, expect_dtype, expect_inputs, expect_shape};

/// The gradients of [`Recurrence`] in its input products, its first state, and what products over all steps make
/// those of the weights of: see [`super::RecurrenceGradParts`]. The operands are those of the recurrence, its
/// result, and the gradient of its outputs, last outputs and last cells, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecurrenceGrad {
    /// What it is the gradient of.
    pub of: Recurrence,
}

/// The gradient rule of [`Recurrence`].
pub(super) fn rule(
    op: &Recurrence,
    g: &mut Graph,
    site: &Site<'_>,
    grad: Value,
) -> Result<Gradients, GraphError> {
    let sizes = sizes(op, g, site.inputs);
    let RecurrenceSizes { batch, steps, hidden, out, wide } = sizes;
    let (parts, to, rows) = (sizes.parts(op), sizes.grad_parts(op), batch * steps);
    let visible = g.slice_axis(grad, 0, 0, parts.unprojected)?;
    let mut operands = site.inputs.to_vec();
    operands.extend([site.output, visible]);
    let packed = g.push(Op::RecurrenceGrad(RecurrenceGrad { of: *op }), &operands)?;
    let part = |g: &mut Graph, from: usize, dims: &[usize]| -> Result<Value, GraphError> {
        let part = g.slice_axis(packed, 0, from, from + dims.iter().product::<usize>())?;
        g.reshape(part, dims)
    };
    let mut all: Gradients = vec![None; site.inputs.len()];
    let given = part(g, 0, &[rows, wide])?;
    all[0] = Some(g.reshape(given, &[batch, steps, wide])?);
    all[2] = Some(part(g, to.first, &[batch, out])?);
    let at = op.at();
    if let Some(at) = at.cell {
        all[at] = Some(part(g, to.cell, &[batch, hidden])?);
    }
    // The products of all steps are one: no step waits for it.
    let before = previous(op, g, site, sizes)?;
    let new = match op.cell {
        Cell::Gru => Some(part(g, to.new, &[rows, hidden])?),
        _ => None,
    };
    all[1] = Some(match new {
        Some(new) => {
            let gates = g.slice_axis(given, 1, 0, 2 * hidden)?;
            let gates = g.matmul_with(before, gates, true, false)?;
            let new = g.matmul_with(before, new, true, false)?;
            g.concat(&[gates, new], 1)?
        }
        None => g.matmul_with(before, given, true, false)?,
    });
    if let Some(at) = at.bias {
        let mut sums = vec![given];
        sums.extend(new);
        for sum in &mut sums {
            let columns = g.shape(*sum).dims()[1];
            *sum = g.sum(*sum, &[0], true)?;
            *sum = g.reshape(*sum, &[columns])?;
        }
        all[at] = Some(g.concat(&sums, 0)?);
    }
    if let Some(at) = at.projection {
        let projected = part(g, to.projected, &[rows, out])?;
        let from = parts.unprojected;
        let inner = g.slice_axis(site.output, 0, from, from + rows * hidden)?;
        let inner = g.reshape(inner, &[rows, hidden])?;
        all[at] = Some(g.matmul_with(inner, projected, true, false)?);
    }
    Ok(all)
}

/// What each step had before it, `[b t, out]`.
fn previous(
    op: &Recurrence,
    g: &mut Graph,
    site: &Site<'_>,
    sizes: RecurrenceSizes,
) -> Result<Value, GraphError> {
    let RecurrenceSizes { batch, steps, out, .. } = sizes;
    let outputs = g.slice_axis(site.output, 0, 0, batch * steps * out)?;
    let outputs = g.reshape(outputs, &[batch, steps, out])?;
    let first = g.reshape(site.inputs[2], &[batch, 1, out])?;
    let mut before = match (steps, op.reverse) {
        (1, _) => first,
        (_, false) => {
            let outputs = g.slice_axis(outputs, 1, 0, steps - 1)?;
            g.concat(&[first, outputs], 1)?
        }
        (_, true) => {
            let outputs = g.slice_axis(outputs, 1, 1, steps)?;
            g.concat(&[outputs, first], 1)?
        }
    };
    if let (Some(at), true) = (op.at().lengths, op.reverse) {
        // A sample's own last step is its first one.
        let places: Vec<f32> = (1..=steps).map(|step| step as f32).collect();
        let places = g.constant_tensor(&[1, steps, 1], &places)?;
        let lengths = g.cast(site.inputs[at], DType::F32)?;
        let lengths = g.reshape(lengths, &[batch, 1, 1])?;
        let begins = g.eq(places, lengths)?;
        let dims = [batch, steps, out];
        let (begins, first) = (g.broadcast(begins, &dims)?, g.broadcast(first, &dims)?);
        before = g.select(begins, first, before)?;
    }
    g.reshape(before, &[batch * steps, out])
}

/// The result as primitives, of operands that are leaves: what is differentiated by must depend on nothing else.
fn unrolled(
    op: &RecurrenceGrad,
    body: &mut Graph,
    operands: &[Value],
) -> Result<Value, GraphError> {
    let of = &op.of;
    let own = &operands[..of.operands()];
    let steps = Unrolled::build(of, body, own)?;
    let visible = steps.visible(body)?;
    let visible = joined(body, &visible)?;
    let weighted = body.mul(visible, operands[own.len() + 1])?;
    let loss = body.sum_all(weighted)?;
    let mut by = steps.given.clone();
    by.push(own[2]);
    by.extend(of.at().cell.map(|at| own[at]));
    by.extend(steps.new.iter().chain(&steps.projected));
    let mut found = gradients(body, loss, &by)?.into_iter();
    let count = steps.given.len();
    let given: Vec<Value> = found.by_ref().take(count).collect();
    let mut parts = vec![stacked(body, &given)?];
    parts.extend(found.by_ref().take(1 + usize::from(of.at().cell.is_some())));
    for list in [&steps.new, &steps.projected] {
        let list: Vec<Value> = found.by_ref().take(list.len()).collect();
        if !list.is_empty() {
            parts.push(stacked(body, &list)?);
        }
    }
    joined(body, &parts)
}

impl OpRule for RecurrenceGrad {
    fn name(&self) -> &'static str {
        "recurrence_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let own = self.of.operands();
        expect_inputs(self.name(), inputs, own + 2)?;
        let sizes = RecurrenceSizes::check(&self.of, &inputs[..own])?;
        let parts = sizes.parts(&self.of);
        for (operand, length) in inputs[own..].iter().zip([parts.end, parts.unprojected]) {
            expect_dtype(self.name(), operand, DType::F32)?;
            expect_shape(self.name(), operand, &Shape::new(&[length])?)?;
        }
        Ok(Type::f32(Shape::new(&[sizes.grad_parts(&self.of).end])?))
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "second derivatives need the steps one by one";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, context: &Context, inputs: &[&Array], out: &Type) -> Array {
        evaluate(inputs, context, out, |graph, leaves| unrolled(self, graph, leaves))
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        apart(g, inputs, |body, leaves| unrolled(self, body, leaves)).map(Some)
    }

    fn is_whole(&self) -> bool {
        true
    }
}
