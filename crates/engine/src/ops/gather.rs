//! Rows of a table by index, as in an embedding.

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// `(table f32 [rows, ...row], indices i32 [...i]) -> f32 [...i, ...row]`. An index outside the
/// table gives a row of NaN, so that it cannot go unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gather;

impl OpRule for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::I32)?;
        let Some((_, row)) = inputs[0].shape.dims().split_first() else {
            return Err(GraphError::shape(self.name(), "a table of rank 1 or more", &inputs[0]));
        };
        let dims = [inputs[1].shape.dims(), row].concat();
        Ok(Type::f32(Shape::new(&dims)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let rows = g.shape(site.inputs[0]).dims()[0];
        Ok(vec![Some(g.scatter_add(site.inputs[1], grad, rows)?), None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let (table, indices) = (inputs[0], inputs[1]);
        let (rows, width) = row_layout(&table.shape);
        let mut data = Vec::with_capacity(out.shape.elements());
        for &index in &indices.data {
            if index >= 0.0 && (index as usize) < rows {
                let start = index as usize * width;
                data.extend_from_slice(&table.data[start..start + width]);
            } else {
                data.extend(std::iter::repeat_n(f64::NAN, width));
            }
        }
        Array { shape: out.shape.clone(), data }
    }
}

/// `(indices i32 [...i], updates f32 [...i, ...row]) -> f32 [rows, ...row]`: each update is added
/// to the row that its index names. An update whose index is outside the table is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAdd {
    /// The rows of the result.
    pub rows: usize,
}

impl OpRule for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::I32)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        let Some(row) = inputs[1].shape.dims().strip_prefix(inputs[0].shape.dims()) else {
            let wanted = format!("updates whose shape begins with {}", inputs[0].shape);
            return Err(GraphError::shape(self.name(), wanted, &inputs[1]));
        };
        let dims = [&[self.rows], row].concat();
        Ok(Type::f32(Shape::new(&dims)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        Ok(vec![None, Some(g.gather(grad, site.inputs[0])?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let (rows, width) = row_layout(&out.shape);
        let mut result = Array::filled(&out.shape, 0.0);
        for_each_index(&[inputs[0].data.len(), width], |at| {
            let index = inputs[0].data[at[0]];
            if index >= 0.0 && (index as usize) < rows {
                result.data[index as usize * width + at[1]] +=
                    inputs[1].data[at[0] * width + at[1]];
            }
        });
        result
    }
}

/// The number of rows of a table and the elements of each.
fn row_layout(table: &Shape) -> (usize, usize) {
    match table.dims().split_first() {
        Some((&rows, row)) => (rows, row.iter().product()),
        None => (0, 0),
    }
}
