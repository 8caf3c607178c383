//! Matrix products. Which way one goes is said once, in [`lower`].

mod block;
mod dot;
mod operands;
mod packed;
mod thin;
mod turned;

use onestep_engine::EngineError;
use onestep_engine::ops::MatMul;
use onestep_engine::plan::Place;

use self::dot::DotKernel;
use self::operands::Operands;
use self::packed::PackedKernel;
use self::thin::ThinKernel;
use self::turned::TurnedKernel;
use crate::cpu_kernel::{CpuKernel, Regions};
use crate::fused::Follower;
use crate::machine::Machine;

/// Lowers the op.
pub(super) fn lower(
    op: &MatMul,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    Machine { threads, level }: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
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
    Machine { threads, level }: Machine,
) -> Result<Option<Box<dyn CpuKernel>>, EngineError> {
    let operands = Operands::new(op, inputs, output, regions)?;
    let tile = level.tile();
    let elsewhere = DotKernel::suits(&operands) || ThinKernel::suits(&operands, tile);
    if elsewhere || !PackedKernel::can_be_followed(&operands) {
        return Ok(None);
    }
    Ok(Some(Box::new(PackedKernel::new(operands, Some(follower), threads, tile))))
}
