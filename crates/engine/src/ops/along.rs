//! Elements along an axis by index.

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// `(x f32 [..., n, ...], indices i32 [..., k, ...]) -> f32 [..., k, ...]`: along the axis, the
/// elements of `x` that the indices name; all other axes are equal
/// (`out[i, j, l] = x[i, indices[i, j, l], l]`). An index outside the axis gives NaN, so that it
/// cannot go unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GatherAlong {
    /// The axis.
    pub axis: usize,
}

impl OpRule for GatherAlong {
    fn name(&self) -> &'static str {
        "gather_along"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::I32)?;
        expect_axis(self.name(), self.axis, &inputs[0])?;
        let wanted = with_size(&inputs[0].shape, self.axis, axis_size(&inputs[1], self.axis))?;
        if inputs[1].shape != wanted {
            let wanted = format!("indices of {} but for axis {}", inputs[0].shape, self.axis);
            return Err(GraphError::shape(self.name(), wanted, &inputs[1]));
        }
        Ok(Type::f32(wanted))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let size = g.shape(site.inputs[0])[self.axis];
        Ok(vec![Some(g.scatter_along(site.inputs[1], grad, self.axis, size)?), None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let (x, indices) = (inputs[0], inputs[1]);
        let size = x.shape[self.axis];
        Array::from_fn(&out.shape, |at| {
            let index = indices.at(at);
            let mut from = at.to_vec();
            match index >= 0.0 && (index as usize) < size {
                true => {
                    from[self.axis] = index as usize;
                    x.at(&from)
                }
                false => f64::NAN,
            }
        })
    }
}

/// `(indices i32 [..., k, ...], updates f32 [..., k, ...]) -> f32 [..., size, ...]`: each update is
/// added to zeros at the place along the axis that its index names. An update whose index is
/// outside the axis is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAlong {
    /// The axis.
    pub axis: usize,
    /// Its size in the result.
    pub size: usize,
}

impl OpRule for ScatterAlong {
    fn name(&self) -> &'static str {
        "scatter_along"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::I32)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        expect_axis(self.name(), self.axis, &inputs[1])?;
        super::expect_shape(self.name(), &inputs[0], &inputs[1].shape)?;
        Ok(Type::f32(with_size(&inputs[1].shape, self.axis, self.size)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        if self.size == 0 {
            return Ok(vec![None, None]);
        }
        // What is dropped has no gradient: where an index is outside, gathering gives NaN.
        let indices = site.inputs[0];
        let (zero, size) = (g.constant(0.0)?, g.constant(self.size as f32)?);
        let place = g.cast(indices, DType::F32)?;
        let (above, below) = (g.ge(place, zero)?, g.lt(place, size)?);
        let inside = g.mul(above, below)?;
        let gathered = g.gather_along(grad, indices, self.axis)?;
        Ok(vec![None, Some(g.select(inside, gathered, zero)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let (indices, updates) = (inputs[0], inputs[1]);
        let mut result = Array::filled(&out.shape, 0.0);
        for_each_index(updates.shape.dims(), |at| {
            let index = indices.at(at);
            if index >= 0.0 && (index as usize) < self.size {
                let mut to = at.to_vec();
                to[self.axis] = index as usize;
                let offset = result.offset(&to);
                result.data[offset] += updates.at(at);
            }
        });
        result
    }
}

/// Checks that a type has an axis.
pub(super) fn expect_axis(op: &'static str, axis: usize, ty: &Type) -> Result<(), GraphError> {
    if axis < ty.shape.rank() {
        return Ok(());
    }
    Err(GraphError::attribute(op, "axis", format!("an axis of {ty}"), axis))
}

fn axis_size(ty: &Type, axis: usize) -> usize {
    ty.shape.dims().get(axis).copied().unwrap_or(0)
}

fn with_size(shape: &Shape, axis: usize, size: usize) -> Result<Shape, GraphError> {
    let mut dims = shape.dims().to_vec();
    dims[axis] = size;
    Ok(Shape::new(&dims)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(x: &[usize], indices: &[usize]) -> [Type; 2] {
        let of = |dims, dtype| Type { shape: Shape::new(dims).unwrap(), dtype };
        [of(x, DType::F32), of(indices, DType::I32)]
    }

    #[test]
    fn all_axes_but_one_must_agree() {
        let op = GatherAlong { axis: 1 };
        let result = op.infer(&types(&[2, 3, 4], &[2, 7, 4])).unwrap();
        assert_eq!(result.shape.dims(), [2, 7, 4]);
        let error = op.infer(&types(&[2, 3, 4], &[2, 7, 5])).unwrap_err().to_string();
        assert!(error.contains("indices of [2, 3, 4] but for axis 1"), "{error}");
        assert!(op.infer(&types(&[2, 3], &[2])).is_err());
        let error = GatherAlong { axis: 2 }.infer(&types(&[2, 3], &[2, 3])).unwrap_err();
        assert!(error.to_string().contains("axis must be an axis of f32[2, 3], got 2"), "{error}");
    }

    #[test]
    fn what_is_outside_is_nan_where_it_is_read_and_nothing_where_it_is_added() {
        let shape = Shape::from([1, 3]);
        let indices = Array::new(shape.clone(), vec![2.0, -1.0, 3.0]).unwrap();
        let x = Array::new(shape.clone(), vec![1.0, 2.0, 4.0]).unwrap();
        let (context, out) = (Context::default(), Type::f32(shape));
        let taken = GatherAlong { axis: 1 }.evaluate(&context, &[&x, &indices], &out);
        assert!(taken.data[0] == 4.0 && taken.data[1].is_nan() && taken.data[2].is_nan());
        let added = ScatterAlong { axis: 1, size: 3 }.evaluate(&context, &[&indices, &x], &out);
        assert_eq!(added.data, [0.0, 0.0, 1.0]);
    }
}
