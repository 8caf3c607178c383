//! The gradient in the weight: for each frequency the product of the transformed gradient of the
//! result with the transformed input, summed over all tiles.

use std::marker::PhantomData;

use onestep_engine::EngineError;

use super::super::geometry::{Unit, Units};
use super::super::grid::{Channels, Grid, load_square, store_square, units};
use super::super::problem::{Operands, Problem};
use super::sizes::TileLayout;
use super::transform::{self, Transform, WINDOW};
use crate::cache::cached;
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Blocks, Destination, Left, Rows, product, side_by_side, tile_rows};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task, transpose};
use crate::stores::{Window, Windows};

/// Sums of more elements than this are not kept once for each task.
const FEW_SUMS: usize = 1 << 18;

/// Tiles that are summed up before they are added to what there is, so that sums of sums keep
/// their digits.
const BLOCK: usize = 32;

/// The sums of all tiles.
pub(super) struct GradKernel<W, const M: usize, const N: usize> {
    input: Grid<N>,
    output: Grid<M>,
    units: Units,
    layout: TileLayout,
    /// Input channels and output channels, and elements of a picture of each.
    channels: usize,
    rows: usize,
    sizes: [usize; 2],
    x: Address,
    dy: Address,
    out: Address,
    /// Chunks of units, each with sums of its own, and parts of output channels.
    chunks: usize,
    parts: usize,
    finishers: usize,
    transform: PhantomData<fn() -> W>,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> GradKernel<W, M, N> {
    pub(super) fn new(
        problem: &Problem,
        pad: [usize; 2],
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let tile = level.tile();
        let (channels, rows, out) = (problem.in_channels, problem.out_channels, problem.output);
        let cost = problem.batch * out[0] * out[1] * channels * rows * N * N / (M * M) / tile.lanes;
        let tasks = tasks_for(cost, threads);
        let grid = out.map(|size| size.div_ceil(M));
        let units = units(problem.batch, grid, N * N * (channels + rows), tasks);
        let mut kernel = GradKernel {
            input: Grid::new(problem.input, pad, grid, M),
            output: Grid::new(out, [0; 2], grid, M),
            units,
            layout: TileLayout {
                columns: grid[1],
                tiles: units.images * units.rows * grid[1],
                lanes: tile.lanes,
            },
            channels,
            rows,
            sizes: [problem.input, out].map(|[height, width]| height * width),
            x: regions.address(operands.source)?,
            dy: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            chunks: 1,
            parts: 1,
            finishers: tasks_for(N * N * channels * rows, threads).min(rows),
            transform: PhantomData,
        };
        // A part transforms the input anew, a chunk has sums of its own.
        let most = if kernel.sums() <= cached(FEW_SUMS) { units.count() } else { 1 };
        kernel.chunks = tasks.min(most).max(1);
        kernel.parts = tasks.div_ceil(kernel.chunks).min(rows.div_ceil(2 * tile.lanes)).max(1);
        Ok(kernel)
    }

    /// The output channels of a part: whole vectors and tiles.
    fn rows(&self, part_index: usize) -> (usize, usize) {
        part(self.rows, self.parts, part_index, 2 * self.layout.lanes)
    }

    /// From one frequency's sums to the next's.
    fn frequency(&self) -> usize {
        self.rows * self.layout.tile(self.channels) + self.layout.lanes
    }

    /// Elements of the sums of a chunk.
    fn sums(&self) -> usize {
        N * N * self.frequency()
    }

    /// Elements of a worker's pixels, transformed input and transformed gradient.
    fn buffers(&self) -> [usize; 3] {
        let rows = (0..self.parts).map(|p| self.rows(p)).map(|(from, to)| to - from).max();
        let rows = rows.unwrap_or(0);
        let x = self.input.elements(&self.units, self.layout.pixel(self.channels));
        let dy = self.output.elements(&self.units, self.layout.pixel(rows));
        [
            x.max(dy),
            N * N * self.layout.frequency(self.channels),
            N * N * self.layout.frequency(rows),
        ]
        .map(|elements| elements.next_multiple_of(ALIGNMENT / size_of::<f32>()))
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> CpuKernel for GradKernel<W, M, N> {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        ScratchNeed {
            shared: bytes(self.chunks * self.sums()),
            worker: bytes(self.buffers().iter().sum()),
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        [self.chunks * self.parts, self.finishers].get(job).copied()
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            let chunk = turn.task / self.parts;
            let sums = context.shared_scratch().cast::<f32>().wrapping_add(chunk * self.sums());
            return windows.add(Window::run(sums, self.sums()));
        }
        let (from, to) = part(self.rows, self.finishers, turn.task, 1);
        let row = self.channels * ELEMENTS;
        windows.add(context.window(self.out, from * row, (to - from) * row));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; the parts' rows are disjoint, and then each
        // output channel belongs to one task.
        unsafe {
            match job {
                0 => context.level.run(AddUnits { kernel: self, context, turn }),
                _ => {
                    let (from, to) = part(self.rows, self.finishers, turn.task, 1);
                    context.level.run(Finish { kernel: self, context, from, to });
                }
            }
        }
    }
}

/// A chunk of units, for a part of the output channels.
struct AddUnits<'a, W, const M: usize, const N: usize> {
    kernel: &'a GradKernel<W, M, N>,
    context: &'a Context<'a>,
    turn: Turn,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for AddUnits<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let (chunk, part_index) = (self.turn.task / k.parts, self.turn.task % k.parts);
        let rows = k.rows(part_index);
        let (from, to) = part(k.units.count(), k.chunks, chunk, 1);
        let [pixels, v, _] = k.buffers();
        // SAFETY: the operands have the units' pictures; each task has its own rows of its chunk's
        // sums; the scratch memory fits all buffers, and the pixels of both.
        unsafe {
            let pixels_at = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let (v_at, d_at) = (pixels_at.add(pixels), pixels_at.add(pixels + v));
            let sums = self.context.shared_scratch().cast::<f32>().add(chunk * k.sums());
            for index in from..to {
                let unit = k.units.unit(index);
                self.transform::<S>(&unit, rows, pixels_at, (v_at, d_at));
                self.add::<S>(&unit, rows, (v_at, d_at), sums, index > from);
            }
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> AddUnits<'_, W, M, N> {
    /// Transforms a unit's input and its gradient in output channels `rows`.
    #[inline(always)]
    unsafe fn transform<S: Simd>(
        &self,
        unit: &Unit,
        rows: (usize, usize),
        pixels: *mut f32,
        (v, d): (*mut f32, *mut f32),
    ) {
        let (k, count) = (self.kernel, rows.1 - rows.0);
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let data = self.context.floats(k.x);
            let x = Channels { data, count: k.channels, image: k.channels * k.sizes[0] };
            let pixel = k.layout.pixel(k.channels);
            k.input.load::<S>(x, unit, pixels, pixel);
            let tiles = (v, k.layout.tile(k.channels), k.layout.frequency(k.channels));
            k.input.transform::<S, N>(unit, (pixels, pixel), tiles, |x| {
                transform::input::<S, W, M, N>(x)
            });
            let data = self.context.floats(k.dy).add(rows.0 * k.sizes[1]);
            let dy = Channels { data, count, image: k.rows * k.sizes[1] };
            let pixel = k.layout.pixel(count);
            k.output.load::<S>(dy, unit, pixels, pixel);
            let tiles = (d, k.layout.tile(count), k.layout.frequency(count));
            k.output.transform::<S, N>(unit, (pixels, pixel), tiles, |dy| {
                transform::output_grad::<S, W, M, N>(dy)
            });
        }
    }

    /// Adds a unit's products to the sums, or sets them.
    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        unit: &Unit,
        (from, to): (usize, usize),
        (v, d): (*const f32, *const f32),
        sums: *mut f32,
        accumulate: bool,
    ) {
        let k = self.kernel;
        let tiles = unit.images * unit.rows * k.layout.columns;
        let (v_tile, d_tile) = (k.layout.tile(k.channels), k.layout.tile(to - from));
        for frequency in 0..N * N {
            let v = v.wrapping_add(frequency * k.layout.frequency(k.channels));
            let d = d.wrapping_add(frequency * k.layout.frequency(to - from));
            let sums = sums.wrapping_add(frequency * k.frequency() + from * v_tile);
            let size = (tiles, to - from, k.channels);
            // SAFETY: the caller vouches for the buffers.
            unsafe { add_products::<S>(size, (d, d_tile), (v, v_tile), sums, accumulate) };
        }
    }
}

/// The products of one frequency, summed over `tiles`: `sums[row][channel] (+)= sum over tiles of
/// d[tile][row] * v[tile][channel]`. Tiles lie apart as given beside their addresses, and rows of
/// sums as tiles of `v`.
///
/// # Safety
/// The machine has `S`, and all operands have these tiles, rows and channels in whole vectors.
#[inline(always)]
pub(super) unsafe fn add_products<S: Simd>(
    (tiles, rows, channels): (usize, usize, usize),
    (d, d_tile): (*const f32, usize),
    (v, v_tile): (*const f32, usize),
    sums: *mut f32,
    accumulate: bool,
) {
    let (vectors, columns) = (channels.div_ceil(S::LANES), side_by_side(S::LANES));
    for first in (0..tiles).step_by(BLOCK) {
        let (tiles, accumulate) = (BLOCK.min(tiles - first), accumulate || first > 0);
        let mut vector = 0;
        while vector < vectors {
            let block = Blocks::wide(vectors, S::LANES).around(vector).1;
            let most = tile_rows::<S>(block);
            let v = v.wrapping_add(first * v_tile + vector * S::LANES);
            let vectors = columns.map(|column| v.wrapping_add(column));
            let right = Rows { vectors, channels: tiles, plane: v_tile, taps: &[0] };
            for row in (0..rows).step_by(most) {
                let shape = (most.min(rows - row), block);
                // SAFETY: the caller vouches for the operands.
                unsafe {
                    let left = Left::packed(d.add(first * d_tile + row), d_tile);
                    let to = sums.add(row * v_tile + vector * S::LANES);
                    let out = Destination { to, row: v_tile, columns, accumulate };
                    product::<S>(shape, left, right, out);
                }
            }
            vector += block;
        }
    }
}

/// Adds the chunks' sums in order, and transforms those of output channels `from..to` back.
struct Finish<'a, W, const M: usize, const N: usize> {
    kernel: &'a GradKernel<W, M, N>,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for Finish<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        // SAFETY: the result and the sums have the elements, and nobody writes the sums of these
        // rows meanwhile.
        unsafe {
            let all = self.context.shared_scratch().cast::<f32>();
            let out = self.context.floats(k.out);
            for row in self.from..self.to {
                let at = all.add(row * k.layout.tile(k.channels)).cast_const();
                let sums = Sums { at, frequency: k.frequency(), chunks: k.chunks, chunk: k.sums() };
                finish::<S, W, M, N>(sums, k.channels, out.add(row * k.channels * ELEMENTS));
            }
        }
    }
}

/// Elements of a window.
pub(super) const ELEMENTS: usize = WINDOW * WINDOW;

/// The sums of an output channel: for each input channel, those of a frequency and chunk.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    pub(super) at: *const f32,
    /// From one frequency to the next.
    pub(super) frequency: usize,
    /// Chunks to be added up, and from one to the next.
    pub(super) chunks: usize,
    pub(super) chunk: usize,
}

/// Adds up the chunks' sums in order and transforms them back, for one output channel.
///
/// # Safety
/// The machine has `S`; the sums and the result have that many input channels.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd, W: Transform<M, N>, const M: usize, const N: usize>(
    sums: Sums,
    channels: usize,
    out: *mut f32,
) {
    for channel in (0..channels).step_by(S::LANES) {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let load = |chunk: usize| {
                let first = sums.at.add(chunk * sums.chunk + channel);
                load_square::<S, N>(|i, j| first.add((i * N + j) * sums.frequency))
            };
            let mut m = load(0);
            for chunk in 1..sums.chunks {
                for (sum, more) in m.iter_mut().flatten().zip(load(chunk).into_iter().flatten()) {
                    *sum = S::add(*sum, more);
                }
            }
            let mut window = [0.0f32; ELEMENTS * MAX_LANES];
            let to = window.as_mut_ptr();
            let gradient = transform::weight_grad::<S, W, M, N>(m);
            store_square::<S, WINDOW>(gradient, |i, j| {
                to.wrapping_add((i * WINDOW + j) * S::LANES)
            });
            let size = (ELEMENTS, S::LANES.min(channels - channel));
            transpose::<S>((to, S::LANES), size, (out.add(channel * ELEMENTS), ELEMENTS));
        }
    }
}
