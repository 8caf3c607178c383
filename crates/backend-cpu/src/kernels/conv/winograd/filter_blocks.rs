//! The convolution and the gradient in its input where there are many more channels than tiles: then
//! the transformed weights are more than anything else. A task transforms those of its block of result
//! channels piece by piece, and multiplies each piece with all tiles while it is in its cache, so
//! that transformed weights never go to memory.

use onestep_engine::EngineError;

use super::batch_tiles::BatchTiles;
use super::filter::multiply;
use super::sizes::{Filter, TileLayout};
use super::transform::{self, Transform};
use super::weights::{Transformed, transform_weights};
use crate::cache::cached;
use crate::cpu_kernel::{ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part};
use crate::kernels::conv::grid::{Channels, Grid};
use crate::kernels::conv::moments::Moments;
use crate::kernels::conv::problem::Operands;
use crate::kernels::micro::{Rows, side_by_side};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{Simd, Task, VECTORS};
use crate::stores::Windows;

/// Elements of transformed weights at a time: half of a second-level cache.
const PIECE: usize = 1 << 17;

/// The sums of a filter.
pub(super) struct FilterBlocksKernel<W, const M: usize, const N: usize> {
    filter: Filter,
    input: BatchTiles<W, M, N>,
    output: Grid<M>,
    weight: Address,
    out: Address,
    /// Blocks of result channels, each a task, and the summed channels of a piece.
    blocks: usize,
    piece: usize,
    moments: Option<Moments>,
}

/// A worker's memory: pixels, transformed weights of a piece, and products.
struct Buffers<T> {
    pixels: T,
    weights: T,
    products: T,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> FilterBlocksKernel<W, M, N> {
    pub(super) fn new(
        filter: Filter,
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let lanes = level.tile().lanes;
        let Filter { channels, rows, out, pad, .. } = filter;
        let vectors = rows.div_ceil(lanes);
        let blocks = vectors.div_ceil(VECTORS).next_multiple_of(threads.max(1)).min(vectors);
        let widest = vectors.div_ceil(blocks) * lanes;
        let most = (cached(PIECE) / (N * N * widest)).clamp(1, channels);
        let input =
            BatchTiles::<W, M, N>::new(operands.source, pad, out, regions, (threads, lanes))?;
        let (tiles, machine) = (input.shared(), (threads, lanes));
        Ok(FilterBlocksKernel {
            filter,
            moments: Moments::new(operands, &input.units, tiles, regions, machine)?,
            input,
            output: Grid::new(out, [0; 2], out.map(|size| size.div_ceil(M)), M),
            weight: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            blocks,
            piece: channels.div_ceil(channels.div_ceil(most)),
        })
    }

    /// The vectors of result channels of a block.
    fn block(&self, index: usize) -> (usize, usize) {
        let lanes = self.input.layout.lanes;
        part(self.filter.rows.div_ceil(lanes), self.blocks, index, 1)
    }

    /// Elements of a row of transformed weights in the widest block.
    fn width(&self) -> usize {
        let lanes = self.input.layout.lanes;
        self.filter.rows.div_ceil(lanes).div_ceil(self.blocks) * lanes
    }

    fn buffers(&self) -> Buffers<usize> {
        let TileLayout { lanes, .. } = self.input.layout;
        let round = |elements: usize| elements.next_multiple_of(ALIGNMENT / size_of::<f32>());
        let out = self.output.elements(&self.input.units, self.width());
        Buffers {
            pixels: round(self.input.elements().1.max(out)),
            weights: round(N * N * (self.piece * self.width() + lanes)),
            products: round(N * N * self.input.layout.frequency(self.width())),
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> CpuKernel for FilterBlocksKernel<W, M, N> {
    fn scratch(&self) -> ScratchNeed {
        let Buffers { pixels, weights, products } = self.buffers();
        ScratchNeed {
            shared: self.moments.as_ref().map_or_else(|| self.input.shared(), Moments::shared),
            worker: (pixels + weights + products) * size_of::<f32>(),
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.input.units.count()),
            1 => Some(self.blocks),
            _ => Moments::tasks(self.moments.as_ref(), job - 2),
        }
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.input.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            return windows.add(context.shared_window(self.input.shared()));
        }
        if job > 1 {
            return Moments::finish_windows(self.moments.as_ref(), context, turn, windows);
        }
        let (from, to) = self.block(turn.task);
        let (lanes, Filter { rows, out, .. }) = (self.input.layout.lanes, self.filter);
        let (first, size) = (from * lanes, out[0] * out[1]);
        let count = ((to - from) * lanes).min(rows - first);
        let run = context.window(self.out, first * size, count * size);
        windows.add(run.times(self.input.units.batch, rows * size));
        if let Some(moments) = &self.moments {
            let units = (0, self.input.units.count());
            moments.take_windows(context, units, (first, count), windows);
        }
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; each unit's tiles, each block's rows of the
        // result and each moment belong to one task.
        unsafe {
            match job {
                0 => self.input.transform(context, turn),
                1 => context.level.run(FilterBlock { kernel: self, context, turn }),
                _ => Moments::finish(self.moments.as_ref(), context, turn),
            }
        }
    }
}

/// One block of result channels.
struct FilterBlock<'a, W, const M: usize, const N: usize> {
    kernel: &'a FilterBlocksKernel<W, M, N>,
    context: &'a Context<'a>,
    turn: Turn,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for FilterBlock<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let Buffers { pixels, weights, .. } = k.buffers();
        let block = k.block(self.turn.task);
        // SAFETY: the scratch memory fits all buffers.
        unsafe {
            let pixels_at = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let (u, m) = (pixels_at.add(pixels), pixels_at.add(pixels + weights));
            for first in (0..k.filter.channels).step_by(k.piece) {
                let channels = (first, k.piece.min(k.filter.channels - first));
                self.add_piece::<S>(block, channels, u, m);
            }
            self.store::<S>(block, m, pixels_at);
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> FilterBlock<'_, W, M, N> {
    /// Adds the products of all tiles with a piece of the weights, or sets them.
    #[inline(always)]
    unsafe fn add_piece<S: Simd>(
        &self,
        (from, to): (usize, usize),
        (first, channels): (usize, usize),
        u: *mut f32,
        m: *mut f32,
    ) {
        let (k, lanes) = (self.kernel, S::LANES);
        let (vectors, width) = (to - from, (to - from) * S::LANES);
        let frequency = channels * width + lanes;
        // SAFETY: the weight has these rows and channels, and the caller vouches for the buffers.
        unsafe {
            let weight = self.context.floats(k.weight).cast_const();
            for vector in 0..vectors {
                let to = Transformed { at: u.add(vector * lanes), channel: width, frequency };
                let (row, channels) = ((from + vector) * lanes, first..first + channels);
                transform_weights::<S, W, M, N>(&k.filter, weight, row, channels, to);
            }
            for index in 0..N * N {
                let u = u.add(index * frequency).cast_const();
                let vectors_at = side_by_side(lanes).map(|column| u.wrapping_add(column));
                let right = Rows { vectors: vectors_at, channels, plane: width, taps: &[0] };
                let (v, tile) = k.input.frequency(self.context, index);
                let m = m.add(index * k.input.layout.frequency(width));
                let (v, m) = ((v.add(first), tile), (m, k.input.layout.tile(width)));
                multiply::<S>(k.input.layout.tiles, v, (right, vectors), m, first > 0);
            }
        }
    }

    /// Transforms the products back, unit by unit.
    #[inline(always)]
    unsafe fn store<S: Simd>(&self, (from, to): (usize, usize), m: *const f32, pixels: *mut f32) {
        let (k, layout, width) = (self.kernel, &self.kernel.input.layout, (to - from) * S::LANES);
        let Filter { rows, out, .. } = k.filter;
        let (tile, frequency, size) =
            (layout.tile(width), layout.frequency(width), out[0] * out[1]);
        let first = from * S::LANES;
        let count = width.min(rows - first);
        for index in 0..k.input.units.count() {
            let unit = k.input.units.unit(index);
            // SAFETY: the result has the unit's pictures and rows; the caller vouches for the rest.
            unsafe {
                let m = m.add(k.input.first_tile(&unit) * tile);
                let back = |m| transform::output::<S, W, M, N>(m);
                k.output.transform_back::<S, N>(&unit, (m, tile, frequency), (pixels, width), back);
                let data = self.context.floats(k.out).add(first * size);
                let to = Channels { data, count, image: rows * size };
                k.output.store::<S>((pixels, width), &unit, to);
                if let Some(moments) = &k.moments {
                    let pixels = k.output.pixels(&unit, pixels, width);
                    moments.take::<S>(self.context, index, (first, count), pixels);
                }
            }
        }
    }
}
