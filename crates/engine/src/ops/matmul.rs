//! Products of matrices.

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site, expect_dtype, expect_inputs};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// `[...batch, m, k] x [...batch, k, n] -> [...batch, m, n]` in f32; either operand may be stored
/// transposed in its last two axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct MatMul {
    /// The left operand is stored as `[...batch, k, m]`.
    pub transpose_a: bool,
    /// The right operand is stored as `[...batch, n, k]`.
    pub transpose_b: bool,
}

/// The last two axes of an operand after its transposition.
fn rows_and_columns(dims: &[usize], transpose: bool) -> (usize, usize) {
    let (rows, columns) = (dims[dims.len() - 2], dims[dims.len() - 1]);
    if transpose { (columns, rows) } else { (rows, columns) }
}

impl OpRule for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[0], DType::F32)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        let (a, b) = (inputs[0].shape.dims(), inputs[1].shape.dims());
        if a.len() < 2 || b.len() != a.len() || a[..a.len() - 2] != b[..b.len() - 2] {
            let got = format!("{} and {}", inputs[0].shape, inputs[1].shape);
            let wanted = "two operands of one rank of at least 2 with the same batch axes";
            return Err(GraphError::shape(self.name(), wanted, got));
        }
        let (m, k) = rows_and_columns(a, self.transpose_a);
        let (inner, n) = rows_and_columns(b, self.transpose_b);
        if k != inner {
            let got = format!("{} and {}", inputs[0].shape, inputs[1].shape);
            let wanted = format!("the same inner size on both sides ({k} is not {inner})");
            return Err(GraphError::shape(self.name(), wanted, got));
        }
        let mut dims = a.to_vec();
        dims[a.len() - 2] = m;
        dims[a.len() - 1] = n;
        Ok(Type::f32(Shape::new(&dims)?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let (a, b) = (site.inputs[0], site.inputs[1]);
        let da = if self.transpose_a {
            g.matmul_with(b, grad, self.transpose_b, true)?
        } else {
            g.matmul_with(grad, b, false, !self.transpose_b)?
        };
        let db = if self.transpose_b {
            g.matmul_with(grad, a, true, self.transpose_a)?
        } else {
            g.matmul_with(a, grad, !self.transpose_a, false)?
        };
        Ok(vec![Some(da), Some(db)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let rank = out.shape.rank();
        let (_, inner) = rows_and_columns(inputs[0].shape.dims(), self.transpose_a);
        Array::from_fn(&out.shape, |index| {
            let (mut at_a, mut at_b) = (index.to_vec(), index.to_vec());
            let (row, column) = (index[rank - 2], index[rank - 1]);
            let mut sum = 0.0;
            for k in 0..inner {
                let (a, b) = ((row, k), (k, column));
                let (a, b) = (swap_if(self.transpose_a, a), swap_if(self.transpose_b, b));
                (at_a[rank - 2], at_a[rank - 1]) = a;
                (at_b[rank - 2], at_b[rank - 1]) = b;
                sum += inputs[0].at(&at_a) * inputs[1].at(&at_b);
            }
            sum
        })
    }
}

fn swap_if(swap: bool, (a, b): (usize, usize)) -> (usize, usize) {
    if swap { (b, a) } else { (a, b) }
}
