//! The gradient in the weight where there are many more channels than tiles: then the sums of all
//! frequencies are more than anything else. A task takes those of a block of output channels over
//! all tiles at once and transforms them back, so that they stay in its cache.

use onestep_engine::EngineError;

use super::batch_tiles::BatchTiles;
use super::transform::{self, Transform};
use super::weight_grad::{ELEMENTS, Sums, add_products, finish};
use crate::cache::cached;
use crate::cpu_kernel::{ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part};
use crate::kernels::conv::grid::{Channels, Grid};
use crate::kernels::conv::problem::{Operands, Problem};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::Windows;

/// Elements of a block's sums: a second-level cache.
const SUMS: usize = 1 << 18;

/// The sums of all tiles.
pub(super) struct GradBlocksKernel<W, const M: usize, const N: usize> {
    input: BatchTiles<W, M, N>,
    output: Grid<M>,
    /// Input channels and output channels, and elements of a picture of the latter.
    channels: usize,
    rows: usize,
    size: usize,
    dy: Address,
    out: Address,
    /// Blocks of output channels, each a task.
    blocks: usize,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> GradBlocksKernel<W, M, N> {
    pub(super) fn new(
        problem: &Problem,
        pad: [usize; 2],
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let lanes = level.tile().lanes;
        let (channels, rows, out) = (problem.in_channels, problem.out_channels, problem.output);
        let vectors = rows.div_ceil(lanes);
        let most = (cached(SUMS) / (N * N * channels * lanes)).clamp(1, vectors);
        Ok(GradBlocksKernel {
            input: BatchTiles::new(operands.source, pad, out, regions, (threads, lanes))?,
            output: Grid::new(out, [0; 2], out.map(|size| size.div_ceil(M)), M),
            channels,
            rows,
            size: out[0] * out[1],
            dy: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            blocks: vectors.div_ceil(most).next_multiple_of(threads.max(1)).min(vectors),
        })
    }

    /// The output channels of a block.
    fn block(&self, index: usize) -> (usize, usize) {
        part(self.rows, self.blocks, index, self.input.layout.lanes)
    }

    /// Output channels of the largest block, in whole vectors.
    fn widest(&self) -> usize {
        let lanes = self.input.layout.lanes;
        self.rows.div_ceil(lanes).div_ceil(self.blocks) * lanes
    }

    /// From one frequency's sums to the next's.
    fn frequency(&self) -> usize {
        let layout = self.input.layout;
        self.widest() * layout.tile(self.channels) + layout.lanes
    }

    /// Elements of a worker's pixels, transformed gradient and sums.
    fn buffers(&self) -> [usize; 3] {
        let (layout, widest) = (self.input.layout, self.widest());
        let dy = self.output.elements(&self.input.units, widest);
        let pixels = self.input.elements().1.max(dy);
        [pixels, N * N * layout.frequency(widest), N * N * self.frequency()]
            .map(|elements| elements.next_multiple_of(ALIGNMENT / size_of::<f32>()))
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> CpuKernel for GradBlocksKernel<W, M, N> {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        ScratchNeed {
            shared: bytes(self.input.elements().0),
            worker: bytes(self.buffers().iter().sum()),
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        [self.input.units.count(), self.blocks].get(job).copied()
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.input.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            return windows.add(context.shared_window(self.input.shared()));
        }
        let ((from, to), row) = (self.block(turn.task), self.channels * ELEMENTS);
        windows.add(context.window(self.out, from * row, (to - from) * row));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; each unit's tiles and each block's rows of the
        // result belong to one task.
        unsafe {
            match job {
                0 => self.input.transform(context, turn),
                _ => context.level.run(GradBlock { kernel: self, context, turn }),
            }
        }
    }
}

/// One block of output channels.
struct GradBlock<'a, W, const M: usize, const N: usize> {
    kernel: &'a GradBlocksKernel<W, M, N>,
    context: &'a Context<'a>,
    turn: Turn,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for GradBlock<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let (from, to) = k.block(self.turn.task);
        let layout = k.input.layout;
        let [pixels, d, _] = k.buffers();
        // SAFETY: the scratch memory fits all buffers, and the result has these rows.
        unsafe {
            let pixels_at = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let (d_at, sums) = (pixels_at.add(pixels), pixels_at.add(pixels + d));
            self.transform::<S>((from, to), pixels_at, d_at);
            let size = (layout.tiles, to - from, k.channels);
            for index in 0..N * N {
                let d = d_at.add(index * layout.frequency(to - from)).cast_const();
                let d = (d, layout.tile(to - from));
                let v = k.input.frequency(self.context, index);
                add_products::<S>(size, d, v, sums.add(index * k.frequency()), false);
            }
            let out = self.context.floats(k.out);
            for row in from..to {
                let at = sums.add((row - from) * layout.tile(k.channels)).cast_const();
                let sums = Sums { at, frequency: k.frequency(), chunks: 1, chunk: 0 };
                finish::<S, W, M, N>(sums, k.channels, out.add(row * k.channels * ELEMENTS));
            }
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> GradBlock<'_, W, M, N> {
    /// Transforms the gradient of output channels `from..to`, unit by unit.
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, (from, to): (usize, usize), pixels: *mut f32, d: *mut f32) {
        let (k, layout, count) = (self.kernel, self.kernel.input.layout, to - from);
        let (pixel, tile) = (layout.pixel(count), layout.tile(count));
        for index in 0..k.input.units.count() {
            let unit = k.input.units.unit(index);
            // SAFETY: the gradient has the unit's pictures and these rows; the caller vouches for
            // the buffers.
            unsafe {
                let data = self.context.floats(k.dy).add(from * k.size);
                let dy = Channels { data, count, image: k.rows * k.size };
                k.output.load::<S>(dy, &unit, pixels, pixel);
                let to = d.add(k.input.first_tile(&unit) * tile);
                let to = (to, tile, layout.frequency(count));
                k.output.transform::<S, N>(&unit, (pixels, pixel), to, |dy| {
                    transform::output_grad::<S, W, M, N>(dy)
                });
            }
        }
    }
}
