//! Convolutions with a window of 3 x 3 and stride 1 by minimal filtering: tiles of the input are
//! transformed, multiplied with the transformed weights (a matrix product for each of the tile's
//! `N * N` frequencies), and transformed back. See [`transform`] for the method and its source.

mod batch_tiles;
mod filter;
mod filter_blocks;
mod sizes;
mod transform;
mod weight_grad;
mod weight_grad_blocks;
mod weights;

use onestep_engine::EngineError;

use self::filter::FilterKernel;
use self::filter_blocks::FilterBlocksKernel;
pub(super) use self::sizes::Filter;
use self::transform::{F2, F4, Transform};
use self::weight_grad::GradKernel;
use self::weight_grad_blocks::GradBlocksKernel;
use super::problem::{Operands, Problem};
use super::way::Tiles;
use crate::cpu_kernel::{CpuKernel, Regions};
use crate::machine::Machine;

/// Lowers the convolution or the gradient in its input, with these tiles, by blocks of channels or not.
pub(super) fn lower(
    filter: Filter,
    (tiles, blocks): (Tiles, bool),
    batch: usize,
    o: &Operands<'_>,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    match tiles {
        Tiles::Four => lower_with::<F4, 4, 6>(filter, blocks, batch, o, regions, machine),
        Tiles::Two => lower_with::<F2, 2, 4>(filter, blocks, batch, o, regions, machine),
    }
}

fn lower_with<W: Transform<M, N> + 'static, const M: usize, const N: usize>(
    filter: Filter,
    blocks: bool,
    batch: usize,
    o: &Operands<'_>,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    if blocks {
        return Ok(Box::new(FilterBlocksKernel::<W, M, N>::new(filter, o, regions, machine)?));
    }
    Ok(Box::new(FilterKernel::<W, M, N>::new(filter, batch, o, regions, machine)?))
}

/// Lowers the gradient in the weight, with these tiles, by blocks of channels or not.
pub(super) fn lower_weight_grad(
    problem: &Problem,
    (tiles, blocks): (Tiles, bool),
    pad: [usize; 2],
    o: &Operands<'_>,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    match tiles {
        Tiles::Four => {
            lower_weight_grad_with::<F4, 4, 6>(problem, blocks, pad, o, regions, machine)
        }
        Tiles::Two => lower_weight_grad_with::<F2, 2, 4>(problem, blocks, pad, o, regions, machine),
    }
}

fn lower_weight_grad_with<W: Transform<M, N> + 'static, const M: usize, const N: usize>(
    problem: &Problem,
    blocks: bool,
    pad: [usize; 2],
    o: &Operands<'_>,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    if blocks {
        return Ok(Box::new(GradBlocksKernel::<W, M, N>::new(problem, pad, o, regions, machine)?));
    }
    Ok(Box::new(GradKernel::<W, M, N>::new(problem, pad, o, regions, machine)?))
}
