//! What a matrix product, or each of a batch of them, reads and writes.

use onestep_engine::ops::MatMul;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use crate::cpu_kernel::{Address, Context, Regions, broken, expect, unsupported};
use crate::kernels::pack::Matrix;

/// What a product, or each of a batch of them, reads and writes: `c = a b` with `c` `m` x `n`.
#[derive(Debug)]
pub(super) struct Operands {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: Operand,
    pub(super) b: Operand,
    pub(super) c: Address,
    /// For each product, elements before its operands.
    pub(super) batches: Vec<[usize; 2]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) address: Address,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Operands {
    pub(super) fn new(
        op: &MatMul,
        inputs: &[Place],
        output: &Place,
        regions: Regions,
    ) -> Result<Self, EngineError> {
        let [a, b] = inputs else { return Err(broken("matmul needs two operands")) };
        let rank = output.shape.rank();
        if rank < 2 || a.shape.rank() != rank || b.shape.rank() != rank {
            return Err(broken("the operands of matmul have different ranks"));
        }
        for place in inputs {
            if place.dtype != DType::F32 {
                let reason = format!("products are computed in f32, got {}", place.dtype);
                return Err(unsupported("matmul", reason));
            }
        }
        expect("matmul", output, DType::F32)?;
        let operand = |place: &Place, transpose: bool| -> Result<Operand, EngineError> {
            let (row, column) = (place.strides[rank - 2], place.strides[rank - 1]);
            let (row, column) = if transpose { (column, row) } else { (row, column) };
            Ok(Operand { address: regions.address(place)?, row, column })
        };
        Ok(Operands {
            m: output.shape[rank - 2],
            n: output.shape[rank - 1],
            k: a.shape[if op.transpose_a { rank - 2 } else { rank - 1 }],
            a: operand(a, op.transpose_a)?,
            b: operand(b, op.transpose_b)?,
            c: regions.address(output)?,
            batches: batches(a, b, rank),
        })
    }

    /// The operands of one product.
    pub(super) fn matrices(&self, context: &Context<'_>, batch: usize) -> (Matrix, Matrix) {
        let matrix = |o: Operand, before: usize| Matrix {
            data: context.floats(o.address).wrapping_add(before),
            row: o.row,
            column: o.column,
        };
        let [a, b] = self.batches[batch];
        (matrix(self.a, a), matrix(self.b, b))
    }
}

/// Elements before the operands of each product of a batch.
fn batches(a: &Place, b: &Place, rank: usize) -> Vec<[usize; 2]> {
    let dims = &a.shape.dims()[..rank - 2];
    let offset = |place: &Place, mut i: usize| {
        (0..dims.len()).rev().fold(0, |offset, axis| {
            let at = i % dims[axis];
            i /= dims[axis];
            offset + at * place.strides[axis]
        })
    };
    (0..dims.iter().product()).map(|i| [offset(a, i), offset(b, i)]).collect()
}
