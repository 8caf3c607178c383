//! Some rows of a table: which ones indices name, and a table in which those are others. What an update of a
//! table is made of that leaves alone the rows without a gradient.

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_rank};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `indices i32 [n] -> i32 [3 n]`, three lists one behind the other: the distinct indices of `0..rows` from the
/// least on, behind which there are zeros; the same, behind which there is -1; and for each of the `n` its place
/// among the distinct ones, or -1 where it is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DistinctRows {
    /// The rows of the table.
    pub rows: usize,
}

impl OpRule for DistinctRows {
    fn name(&self) -> &'static str {
        "distinct_rows"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_dtype(self.name(), &inputs[0], DType::I32)?;
        expect_rank(self.name(), &inputs[0], 1)?;
        let length = inputs[0].shape.elements().saturating_mul(3);
        Ok(Type { shape: Shape::new(&[length])?, dtype: DType::I32 })
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(vec![None])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let inside = |index: &f64| *index >= 0.0 && *index < self.rows as f64;
        let mut distinct: Vec<f64> = inputs[0].data.iter().copied().filter(inside).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let count = inputs[0].data.len();
        let padded = |with: f64| {
            let padding = std::iter::repeat_n(with, count - distinct.len());
            distinct.iter().copied().chain(padding).collect::<Vec<f64>>()
        };
        let place = |index: &f64| {
            let found = distinct.iter().position(|own| own == index);
            found.map_or(-1.0, |place| place as f64)
        };
        let places = inputs[0].data.iter().map(place).collect();
        Array { shape: out.shape.clone(), data: [padded(0.0), padded(-1.0), places].concat() }
    }
}

/// `(table f32 [rows, ...row], indices i32 [n], updates f32 [n, ...row]) -> f32 [rows, ...row]`: the table with
/// the row that each index names replaced, by the last of several. An update whose index is outside is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetRows;

impl OpRule for SetRows {
    fn name(&self) -> &'static str {
        "set_rows"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 3)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::I32)?;
        expect_rank(self.name(), &inputs[1], 1)?;
        expect_dtype(self.name(), &inputs[2], DType::F32)?;
        let Some((_, row)) = inputs[0].shape.dims().split_first() else {
            return Err(GraphError::shape(self.name(), "a table of rank 1 or more", &inputs[0]));
        };
        let wanted = [inputs[1].shape.dims(), row].concat();
        if inputs[2].shape.dims() != wanted {
            let wanted = format!("updates of {wanted:?}");
            return Err(GraphError::shape(self.name(), wanted, &inputs[2]));
        }
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "it is for updates; select between a table and gathered rows instead";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], _: &Type) -> Array {
        let mut table = inputs[0].clone();
        let rows = table.shape.dims()[0];
        let width = table.data.len() / rows.max(1);
        for (n, &index) in inputs[1].data.iter().enumerate() {
            if index >= 0.0 && index < rows as f64 {
                let at = index as usize * width;
                let update = &inputs[2].data[n * width..(n + 1) * width];
                table.data[at..at + width].copy_from_slice(update);
            }
        }
        table
    }
}
