//! Matrix products. Which way one goes is said once, in [`lower`].

mod block;
mod dot;
mod packed;
mod thin;
mod turned;

use onestep_engine::ops::MatMul;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use self::dot::DotKernel;
use self::packed::PackedKernel;
use self::thin::ThinKernel;
use self::turned::TurnedKernel;
use super::pack::Matrix;
use crate::fused::Follower;
use crate::native::{Address, Context, Native, Regions, broken, expect, unsupported};
use crate::simd::Level;

/// What a product, or each of a batch of them, reads and writes: `c = a b` with `c` `m` x `n`.
#[derive(Debug)]
struct Operands {
    m: usize,
    n: usize,
    k: usize,
    a: Operand,
    b: Operand,
    c: Address,
    /// For each product, elements before its operands.
    batches: Vec<[usize; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Operand {
    address: Address,
    row: usize,
    column: usize,
}

/// Lowers the op.
pub(super) fn lower(
    op: &MatMul,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    (threads, level): (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    let operands = Operands::new(op, inputs, output, regions)?;
    if TurnedKernel::suits(&operands, level.tile()) {
        return Ok(Box::new(TurnedKernel::new(operands, threads, level.tile())));
    }
    if DotKernel::suits(&operands) {
        return Ok(Box::new(DotKernel::new(operands, threads, level.tile().lanes)));
    }
    if ThinKernel::suits(&operands, level.tile()) {
        return Ok(Box::new(ThinKernel::new(operands, threads, level.tile())));
    }
    Ok(Box::new(PackedKernel::new(operands, None, threads, level.tile())))
}

/// Lowers the op with what takes its result block by block. `None` where the product has another
/// way to go.
pub(super) fn lower_followed(
    op: &MatMul,
    inputs: &[Place],
    output: &Place,
    follower: Follower,
    regions: Regions,
    (threads, level): (usize, Level),
) -> Result<Option<Box<dyn Native>>, EngineError> {
    let operands = Operands::new(op, inputs, output, regions)?;
    let tile = level.tile();
    let elsewhere = DotKernel::suits(&operands) || ThinKernel::suits(&operands, tile);
    if elsewhere || !PackedKernel::can_be_followed(&operands) {
        return Ok(None);
    }
    Ok(Some(Box::new(PackedKernel::new(operands, Some(follower), threads, tile))))
}

impl Operands {
    fn new(
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
    fn matrices(&self, context: &Context<'_>, batch: usize) -> (Matrix, Matrix) {
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
