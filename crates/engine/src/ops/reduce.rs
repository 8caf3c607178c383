//! Reductions over axes.

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceKind {
    /// The sum.
    Sum,
    /// The mean: the sum divided by the number of elements, rounded once. A sum that is rounded
    /// before it is divided would put the mean of equal elements beside them, and what is left of
    /// them without it, which a normalisation scales up, would be a rounding error.
    Mean,
    /// The largest element; equal ones share the gradient.
    Max,
    /// The smallest element; equal ones share the gradient.
    Min,
}

/// A reduction of an f32 operand over some axes, which stay in the shape as 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// What is computed.
    pub kind: ReduceKind,
    /// The axes, ascending and distinct.
    pub axes: Vec<usize>,
}

impl OpRule for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Sum => "reduce_sum",
            ReduceKind::Mean => "reduce_mean",
            ReduceKind::Max => "reduce_max",
            ReduceKind::Min => "reduce_min",
        }
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        let rank = inputs[0].shape.rank();
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if !ascending || self.axes.iter().any(|&a| a >= rank) {
            let wanted = format!("ascending, distinct and below {rank}");
            let got = format!("{:?}", self.axes);
            return Err(GraphError::attribute(self.name(), "axes", wanted, got));
        }
        let mut dims = inputs[0].shape.dims().to_vec();
        for &axis in &self.axes {
            dims[axis] = 1;
        }
        Ok(Type::f32(onestep_memory::Shape::new(&dims)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let x = site.inputs[0];
        let grad = match self.kind {
            ReduceKind::Mean => {
                let count = g.constant(self.count(g.shape(x).dims()) as f32)?;
                g.div(grad, count)?
            }
            _ => grad,
        };
        let spread = g.broadcast_like(grad, x)?;
        if matches!(self.kind, ReduceKind::Sum | ReduceKind::Mean) {
            return Ok(vec![Some(spread)]);
        }
        let hit = g.eq(x, site.output)?;
        let count = g.sum(hit, &self.axes, true)?;
        let share = g.div(hit, count)?;
        Ok(vec![Some(g.mul(spread, share)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let start = match self.kind {
            ReduceKind::Sum | ReduceKind::Mean => 0.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        };
        let mut result = Array::filled(&out.shape, start);
        let mut target = vec![0; out.shape.rank()];
        for_each_index(inputs[0].shape.dims(), |index| {
            for (axis, slot) in target.iter_mut().enumerate() {
                *slot = if self.axes.contains(&axis) { 0 } else { index[axis] };
            }
            let offset = result.offset(&target);
            let (old, x) = (result.data[offset], inputs[0].at(index));
            result.data[offset] = match self.kind {
                ReduceKind::Sum | ReduceKind::Mean => old + x,
                _ if old.is_nan() || x.is_nan() => f64::NAN,
                ReduceKind::Max => old.max(x),
                ReduceKind::Min => old.min(x),
            };
        });
        if self.kind == ReduceKind::Mean {
            let count = self.count(inputs[0].shape.dims()) as f64;
            result.data.iter_mut().for_each(|sum| *sum /= count);
        }
        result
    }
}

impl Reduce {
    /// How many elements of an operand of these dimensions become one.
    pub fn count(&self, dims: &[usize]) -> usize {
        self.axes.iter().filter_map(|&axis| dims.get(axis)).product()
    }
}

/// The index (i32) of the first largest element along an axis, which is removed from the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgMax {
    /// The axis.
    pub axis: usize,
}

impl OpRule for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        if self.axis >= dims.len() || dims[self.axis] == 0 {
            let wanted = format!("a non-empty axis of {}", inputs[0]);
            return Err(GraphError::attribute(self.name(), "axis", wanted, self.axis));
        }
        dims.remove(self.axis);
        Ok(Type { shape: onestep_memory::Shape::new(&dims)?, dtype: DType::I32 })
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(vec![None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        Array::from_fn(&out.shape, |index| {
            let mut at = index.to_vec();
            at.insert(self.axis, 0);
            let mut best = (0, f64::NEG_INFINITY);
            for i in 0..inputs[0].shape.dims()[self.axis] {
                at[self.axis] = i;
                let x = inputs[0].at(&at);
                if x > best.1 {
                    best = (i, x);
                }
            }
            best.0 as f64
        })
    }
}
