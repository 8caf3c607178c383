//! Softmax and its logarithm over the last axis.

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `y_i = e^(x_i - max) / sum_j e^(x_j - max)` over the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Softmax;

/// `y_i = x_i - max - ln sum_j e^(x_j - max)` over the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogSoftmax;

fn infer_rows(op: &'static str, inputs: &[Type]) -> Result<Type, GraphError> {
    expect_inputs(op, inputs, 1)?;
    expect_dtype(op, &inputs[0], DType::F32)?;
    if inputs[0].shape.dims().last().is_none_or(|&n| n == 0) {
        return Err(GraphError::shape(op, "a non-empty last axis", &inputs[0]));
    }
    Ok(inputs[0].clone())
}

/// `ln sum_j e^(x_j)` without overflow.
pub(super) fn log_sum_exp(row: &[f64]) -> f64 {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

impl OpRule for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        infer_rows(self.name(), inputs)
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let y = site.output;
        let last = g.shape(y).rank() - 1;
        let product = g.mul(grad, y)?;
        let sum = g.sum(product, &[last], true)?;
        let centred = g.sub(grad, sum)?;
        Ok(vec![Some(g.mul(y, centred)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let width = out.shape.dims().last().copied().unwrap_or(1);
        let rows = inputs[0].data.chunks(width);
        let data = rows.flat_map(|row| {
            let total = log_sum_exp(row);
            row.iter().map(move |x| (x - total).exp())
        });
        Array { shape: out.shape.clone(), data: data.collect() }
    }
}

impl OpRule for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        infer_rows(self.name(), inputs)
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let y = site.output;
        let last = g.shape(y).rank() - 1;
        let sum = g.sum(grad, &[last], true)?;
        let probability = g.exp(y)?;
        let weighted = g.mul(probability, sum)?;
        Ok(vec![Some(g.sub(grad, weighted)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let width = out.shape.dims().last().copied().unwrap_or(1);
        let rows = inputs[0].data.chunks(width);
        let data = rows.flat_map(|row| {
            let total = log_sum_exp(row);
            row.iter().map(move |x| x - total)
        });
        Array { shape: out.shape.clone(), data: data.collect() }
    }
}
