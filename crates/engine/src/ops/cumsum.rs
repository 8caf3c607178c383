//! Running sums along an axis.

use onestep_memory::DType;

use super::along::expect_axis;
use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// `y_i = x_0 + ... + x_i` along an axis; reversed, `y_i = x_i + ... + x_(n-1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CumSum {
    /// The axis.
    pub axis: usize,
    /// Whether the sums run from the end.
    pub reverse: bool,
}

impl OpRule for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_axis(self.name(), self.axis, &inputs[0])?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, g: &mut Graph, _: &Site<'_>, grad: Value) -> Result<Gradients, GraphError> {
        // x_i is in all sums from the i-th on.
        Ok(vec![Some(g.cumsum(grad, self.axis, !self.reverse)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let x = inputs[0];
        let mut result = Array::filled(&out.shape, 0.0);
        for_each_index(out.shape.dims(), |at| {
            let mut from = at.to_vec();
            let n = out.shape[self.axis];
            let summed = if self.reverse { at[self.axis]..n } else { 0..at[self.axis] + 1 };
            let offset = result.offset(at);
            result.data[offset] = summed
                .map(|i| {
                    from[self.axis] = i;
                    x.at(&from)
                })
                .sum();
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use onestep_memory::Shape;

    use super::*;

    #[test]
    fn sums_run_either_way() {
        let shape = Shape::from([3, 2]);
        let x = Array::new(shape.clone(), vec![1.0, 10.0, 2.0, 20.0, 4.0, 40.0]).unwrap();
        let (context, out) = (Context::default(), Type::f32(shape));
        let sums = |axis, reverse| CumSum { axis, reverse }.evaluate(&context, &[&x], &out).data;
        assert_eq!(sums(0, false), [1.0, 10.0, 3.0, 30.0, 7.0, 70.0]);
        assert_eq!(sums(0, true), [7.0, 70.0, 6.0, 60.0, 4.0, 40.0]);
        assert_eq!(sums(1, true), [11.0, 10.0, 22.0, 20.0, 44.0, 40.0]);
    }
}
