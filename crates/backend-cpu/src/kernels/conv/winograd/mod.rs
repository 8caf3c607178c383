//! Convolutions with a window of 3 x 3 and stride 1 by minimal filtering: tiles of the input are
//! transformed, multiplied with the transformed weights (a matrix product for each of the tile's
//! `N * N` frequencies), and transformed back. See [`transform`] for the method and its source.

mod batch_tiles;
mod filter;
mod filter_blocks;
mod transform;
mod weight_grad;
mod weight_grad_blocks;
mod weights;

use onestep_engine::EngineError;
use onestep_engine::ops::ConvWindow;

pub(super) use self::filter::Filter;
use self::filter::FilterKernel;
use self::filter_blocks::FilterBlocksKernel;
use self::transform::{F2, F4, Transform, WINDOW};
use self::weight_grad::GradKernel;
use self::weight_grad_blocks::GradBlocksKernel;
use super::Problem;
use super::sums::Operands;
use crate::native::{Native, Regions};
use crate::simd::Level;

/// Fewer channels than this do not pay for the transforms.
const FEW: usize = 16;
/// Small pictures of so many channels take the larger tiles.
const MANY: usize = 64;
/// Pictures of fewer rows or columns are small.
const SMALL: usize = 7;

/// How transformed tiles lie in memory: by frequency, tile and channel. Distances are odd numbers
/// of vectors, so that tiles and frequencies spread over the sets of a cache.
#[derive(Clone, Copy, Debug)]
struct TileLayout {
    /// Tiles in a row of a picture, and in a whole unit.
    columns: usize,
    tiles: usize,
    lanes: usize,
}

impl TileLayout {
    /// Elements of a pixel: whole vectors.
    fn pixel(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }

    /// From one tile's channels to the next's.
    fn tile(&self, channels: usize) -> usize {
        (channels.div_ceil(self.lanes) | 1) * self.lanes
    }

    /// From one frequency's tiles to the next's.
    fn frequency(&self, channels: usize) -> usize {
        self.tiles * self.tile(channels) + self.lanes
    }
}

/// Whether the method suits a convolution and its gradients.
pub(super) fn suits(window: &ConvWindow, problem: &Problem) -> bool {
    let ConvWindow { stride, dilation, pad_low, pad_high, groups } = window;
    let plain = problem.kernel == [WINDOW; 2] && *stride == [1; 2] && *dilation == [1; 2];
    let padded = pad_low.iter().chain(pad_high).all(|&pad| pad < WINDOW);
    plain
        && padded
        && *groups == 1
        && problem.batch > 0
        && problem.in_channels.min(problem.out_channels) >= FEW
}

/// Whether tiles of 4 x 4 outputs, each of 36 products, take fewer than those of 2 x 2 with 16. Their
/// error is three times as large, which small sums do not bear; small pictures gain by them only
/// with many channels anyway.
fn is_large(out: [usize; 2], channels: usize) -> bool {
    let tiles = |size: usize| out[0].div_ceil(size) * out[1].div_ceil(size);
    let fewer = 36 * tiles(4) < 16 * tiles(2);
    fewer && (channels >= MANY || out.iter().all(|&size| size >= SMALL))
}

/// Lowers the convolution or the gradient in its input.
pub(super) fn lower(
    filter: Filter,
    batch: usize,
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    match is_large(filter.out, filter.channels.min(filter.rows)) {
        true => lower_with::<F4, 4, 6>(filter, batch, o, regions, machine),
        false => lower_with::<F2, 2, 4>(filter, batch, o, regions, machine),
    }
}

/// The same with tiles of a given size.
fn lower_with<W: Transform<M, N> + 'static, const M: usize, const N: usize>(
    filter: Filter,
    batch: usize,
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    if FilterBlocksKernel::<W, M, N>::suits(&filter, batch, machine) {
        return Ok(Box::new(FilterBlocksKernel::<W, M, N>::new(filter, o, regions, machine)?));
    }
    Ok(Box::new(FilterKernel::<W, M, N>::new(filter, batch, o, regions, machine)?))
}

/// Lowers the gradient in the weight.
pub(super) fn lower_weight_grad(
    problem: &Problem,
    pad: [usize; 2],
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    match is_large(problem.output, problem.in_channels.min(problem.out_channels)) {
        true => lower_weight_grad_with::<F4, 4, 6>(problem, pad, o, regions, machine),
        false => lower_weight_grad_with::<F2, 2, 4>(problem, pad, o, regions, machine),
    }
}

/// The same with tiles of a given size.
fn lower_weight_grad_with<W: Transform<M, N> + 'static, const M: usize, const N: usize>(
    problem: &Problem,
    pad: [usize; 2],
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    if GradBlocksKernel::<W, M, N>::suits(problem, machine) {
        return Ok(Box::new(GradBlocksKernel::<W, M, N>::new(problem, pad, o, regions, machine)?));
    }
    Ok(Box::new(GradKernel::<W, M, N>::new(problem, pad, o, regions, machine)?))
}
