//! Ops that move elements without computing. The plan turns most of them into views.

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// The same elements in row-major order under another shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape {
    /// The new shape, of as many elements.
    pub shape: Shape,
}

impl OpRule for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        if inputs[0].shape.elements() != self.shape.elements() {
            let wanted = format!("{} elements for {}", self.shape.elements(), self.shape);
            let got = format!("{} elements of {}", inputs[0].shape.elements(), inputs[0].shape);
            return Err(GraphError::shape(self.name(), wanted, got));
        }
        Ok(Type { shape: self.shape.clone(), dtype: inputs[0].dtype })
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let shape = g.shape(site.inputs[0]).clone();
        Ok(vec![Some(g.reshape(grad, shape.dims())?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        Array { shape: out.shape.clone(), data: inputs[0].data.clone() }
    }
}

/// The operand itself, through which no gradient passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Detach;

impl OpRule for Detach {
    fn name(&self) -> &'static str {
        "detach"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(vec![None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], _: &Type) -> Array {
        inputs[0].clone()
    }
}

/// Axis `i` of the result is axis `axes[i]` of the operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permute {
    /// A permutation of the axes.
    pub axes: Vec<usize>,
}

impl OpRule for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        let dims = inputs[0].shape.dims();
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if sorted != (0..dims.len()).collect::<Vec<_>>() {
            let wanted = format!("a permutation of the {} axes", dims.len());
            let got = format!("{:?}", self.axes);
            return Err(GraphError::attribute(self.name(), "axes", wanted, got));
        }
        let permuted: Vec<usize> = self.axes.iter().map(|&a| dims[a]).collect();
        Ok(Type { shape: Shape::new(&permuted)?, dtype: inputs[0].dtype })
    }

    fn gradient(&self, g: &mut Graph, _: &Site<'_>, grad: Value) -> Result<Gradients, GraphError> {
        let mut inverse = vec![0; self.axes.len()];
        for (i, &axis) in self.axes.iter().enumerate() {
            inverse[axis] = i;
        }
        Ok(vec![Some(g.permute(grad, &inverse)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut source = vec![0; self.axes.len()];
        Array::from_fn(&out.shape, |index| {
            for (i, &axis) in self.axes.iter().enumerate() {
                source[axis] = index[i];
            }
            inputs[0].at(&source)
        })
    }
}

/// Repetition: axes are aligned at the right; missing ones and those of size 1 are repeated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// The shape of the result.
    pub shape: Shape,
}

impl OpRule for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        let (from, to) = (inputs[0].shape.dims(), self.shape.dims());
        let fits = from.len() <= to.len()
            && from.iter().rev().zip(to.iter().rev()).all(|(&f, &t)| f == t || f == 1);
        if !fits {
            let wanted = format!("an operand that broadcasts to {}", self.shape);
            return Err(GraphError::shape(self.name(), wanted, &inputs[0].shape));
        }
        Ok(Type { shape: self.shape.clone(), dtype: inputs[0].dtype })
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let from = g.shape(site.inputs[0]).clone();
        let missing = self.shape.rank() - from.rank();
        let axes: Vec<usize> = (0..self.shape.rank())
            .filter(|&axis| {
                axis < missing || (from.dims()[axis - missing] == 1 && self.shape.dims()[axis] != 1)
            })
            .collect();
        let sum = g.sum(grad, &axes, true)?;
        Ok(vec![Some(g.reshape(sum, from.dims())?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let from = inputs[0].shape.dims();
        let missing = self.shape.rank() - from.len();
        Array::from_fn(&out.shape, |index| {
            let source: Vec<usize> = index[missing..]
                .iter()
                .zip(from)
                .map(|(&i, &dim)| if dim == 1 { 0 } else { i })
                .collect();
            inputs[0].at(&source)
        })
    }
}

/// `start[i]..end[i]` of each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The first index of each axis.
    pub start: Vec<usize>,
    /// One past the last index of each axis.
    pub end: Vec<usize>,
}

impl OpRule for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        let dims = inputs[0].shape.dims();
        let ranges = self.start.iter().zip(&self.end);
        let right_rank = self.start.len() == dims.len() && self.end.len() == dims.len();
        if !right_rank || !ranges.zip(dims).all(|((s, e), d)| s <= e && e <= d) {
            let wanted = format!("one start <= end within {} for each axis", inputs[0].shape);
            let got = format!("{:?}..{:?}", self.start, self.end);
            return Err(GraphError::attribute(self.name(), "range", wanted, got));
        }
        let sizes: Vec<usize> = self.start.iter().zip(&self.end).map(|(s, e)| e - s).collect();
        Ok(Type { shape: Shape::new(&sizes)?, dtype: inputs[0].dtype })
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let dims = g.shape(site.inputs[0]).dims().to_vec();
        let high: Vec<usize> = dims.iter().zip(&self.end).map(|(d, e)| d - e).collect();
        Ok(vec![Some(g.pad(grad, &self.start, &high, 0.0)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        Array::from_fn(&out.shape, |index| {
            let source: Vec<usize> = index.iter().zip(&self.start).map(|(i, s)| i + s).collect();
            inputs[0].at(&source)
        })
    }
}

/// Operands side by side along one axis; their other axes agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl OpRule for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let Some(first) = inputs.first() else {
            return Err(GraphError::shape(self.name(), "at least one operand", "none"));
        };
        let mut dims = first.shape.dims().to_vec();
        if self.axis >= dims.len() {
            let wanted = format!("an axis of {first}");
            return Err(GraphError::attribute(self.name(), "axis", wanted, self.axis));
        }
        for input in &inputs[1..] {
            let mut other = input.shape.dims().to_vec();
            let fits = other.len() == dims.len() && input.dtype == first.dtype && {
                let size = std::mem::replace(&mut other[self.axis], dims[self.axis]);
                let same = other == dims;
                dims[self.axis] += size;
                same
            };
            if !fits {
                let wanted = format!("operands like {first} but along axis {}", self.axis);
                return Err(GraphError::shape(self.name(), wanted, input));
            }
        }
        Ok(Type { shape: Shape::new(&dims)?, dtype: first.dtype })
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let mut offset = 0;
        let mut gradients = Vec::with_capacity(site.inputs.len());
        for &input in site.inputs {
            let size = g.shape(input).dims()[self.axis];
            gradients.push(Some(g.slice_axis(grad, self.axis, offset, offset + size)?));
            offset += size;
        }
        Ok(gradients)
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        Array::from_fn(&out.shape, |index| {
            let mut at = index.to_vec();
            for input in inputs {
                let size = input.shape.dims()[self.axis];
                if at[self.axis] < size {
                    return input.at(&at);
                }
                at[self.axis] -= size;
            }
            f64::NAN
        })
    }
}

/// A border of a constant around an f32 operand.
#[derive(Clone, Debug)]
pub struct Pad {
    /// How many elements before each axis.
    pub low: Vec<usize>,
    /// How many elements behind each axis.
    pub high: Vec<usize>,
    /// The border's value.
    pub value: f32,
}

super::equal_by_bits!(Pad, |pad| (&pad.low, &pad.high, pad.value.to_bits()));

impl OpRule for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        super::expect_dtype(self.name(), &inputs[0], DType::F32)?;
        let dims = inputs[0].shape.dims();
        if self.low.len() != dims.len() || self.high.len() != dims.len() {
            let wanted = format!("one number for each axis of {}", inputs[0].shape);
            let got = format!("{:?} and {:?}", self.low, self.high);
            return Err(GraphError::attribute(self.name(), "widths", wanted, got));
        }
        let widths = self.low.iter().zip(&self.high);
        let padded: Vec<usize> = dims.iter().zip(widths).map(|(d, (l, h))| d + l + h).collect();
        Ok(Type::f32(Shape::new(&padded)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let dims = g.shape(site.inputs[0]).dims().to_vec();
        let end: Vec<usize> = self.low.iter().zip(&dims).map(|(l, d)| l + d).collect();
        Ok(vec![Some(g.slice(grad, &self.low, &end)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let dims = inputs[0].shape.dims();
        Array::from_fn(&out.shape, |index| {
            let source: Option<Vec<usize>> = index
                .iter()
                .zip(self.low.iter().zip(dims))
                .map(|(&i, (&low, &dim))| i.checked_sub(low).filter(|&i| i < dim))
                .collect();
            source.map_or(f64::from(self.value), |at| inputs[0].at(&at))
        })
    }
}
