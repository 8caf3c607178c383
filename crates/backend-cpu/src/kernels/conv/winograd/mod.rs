//! Convolutions with a window of 3 x 3 and stride 1 by minimal filtering: tiles of the input are
//! transformed, multiplied with the transformed weights (a matrix product for each of the tile's
//! `N * N` frequencies), and transformed back. See [`transform`] for the method and its source.

mod filter;
mod transform;
mod weight_grad;

use onestep_engine::EngineError;
use onestep_engine::ops::ConvWindow;

pub(super) use self::filter::Filter;
use self::filter::FilterKernel;
use self::transform::{F2, F4, WINDOW};
use self::weight_grad::GradKernel;
use super::Problem;
use super::sums::Operands;
use crate::native::{Native, Regions};
use crate::simd::Level;

/// Fewer channels than this do not pay for the transforms.
const FEW: usize = 16;
/// Results of fewer rows or columns than this would leave too much of the larger tiles empty.
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
    plain && padded && *groups == 1 && problem.in_channels.min(problem.out_channels) >= FEW
}

/// Whether tiles of 4 x 4 outputs are filled well enough.
fn is_large(out: [usize; 2]) -> bool {
    out.iter().all(|&size| size >= SMALL)
}

/// Lowers the convolution or the gradient in its input.
pub(super) fn lower(
    filter: Filter,
    batch: usize,
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    Ok(match is_large(filter.out) {
        true => Box::new(FilterKernel::<F4, 4, 6>::new(filter, batch, o, regions, machine)?),
        false => Box::new(FilterKernel::<F2, 2, 4>::new(filter, batch, o, regions, machine)?),
    })
}

/// Lowers the gradient in the weight.
pub(super) fn lower_weight_grad(
    problem: &Problem,
    pad: [usize; 2],
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    Ok(match is_large(problem.output) {
        true => Box::new(GradKernel::<F4, 4, 6>::new(problem, pad, o, regions, machine)?),
        false => Box::new(GradKernel::<F2, 2, 4>::new(problem, pad, o, regions, machine)?),
    })
}
