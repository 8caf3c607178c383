//! The order of elements.

use std::cmp::Ordering;

use onestep_memory::DType;

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `f32 [..., n] -> i32 [..., n]`: the places of the elements of each row in ascending or descending
/// order. Equal elements stay in the order of their places, and NaN counts as larger than all
/// numbers. It has no gradient; what is gathered by it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArgSort {
    /// Whether the largest comes first.
    pub descending: bool,
}

impl ArgSort {
    /// How two elements are ordered that stand at different places.
    pub fn order<T: PartialOrd + Copy>(self, (x, i): (T, usize), (y, j): (T, usize)) -> Ordering {
        // NaN alone does not equal itself.
        let is_nan = |x: T| x.partial_cmp(&x).is_none();
        let values = x.partial_cmp(&y).unwrap_or_else(|| is_nan(x).cmp(&is_nan(y)));
        let values = if self.descending { values.reverse() } else { values };
        values.then(i.cmp(&j))
    }
}

impl OpRule for ArgSort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        match inputs[0].shape.last() {
            None => Err(GraphError::shape(self.name(), "a rank of 1 or more", &inputs[0])),
            // Places are i32.
            Some(&n) if i32::try_from(n).is_err() => {
                let wanted = format!("at most {} elements in a row", i32::MAX);
                Err(GraphError::shape(self.name(), wanted, &inputs[0]))
            }
            Some(_) => Ok(Type { shape: inputs[0].shape.clone(), dtype: DType::I32 }),
        }
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(vec![None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let width = out.shape.last().copied().unwrap_or(1).max(1);
        let rows = inputs[0].data.chunks(width).flat_map(|row| {
            let mut places: Vec<usize> = (0..row.len()).collect();
            places.sort_by(|&i, &j| self.order((row[i], i), (row[j], j)));
            places.into_iter().map(|place| place as f64)
        });
        Array { shape: out.shape.clone(), data: rows.collect() }
    }
}

#[cfg(test)]
mod tests {
    use onestep_memory::Shape;

    use super::*;

    #[test]
    fn equal_elements_keep_their_order_and_nan_is_largest() {
        let shape = Shape::from([6]);
        let x = vec![2.0, f64::NAN, -1.0, 2.0, f64::INFINITY, -1.0];
        let x = Array::new(shape.clone(), x).unwrap();
        let (context, out) = (Context::default(), Type { shape, dtype: DType::I32 });
        let order = |descending| ArgSort { descending }.evaluate(&context, &[&x], &out).data;
        assert_eq!(order(false), [2.0, 5.0, 0.0, 3.0, 4.0, 1.0]);
        assert_eq!(order(true), [1.0, 4.0, 0.0, 3.0, 2.0, 5.0]);
    }
}
