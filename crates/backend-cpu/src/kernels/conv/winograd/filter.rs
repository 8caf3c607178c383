//! The convolution and the gradient in its input.

use std::marker::PhantomData;

use onestep_engine::EngineError;

use super::super::geometry::{Unit, Units};
use super::super::grid::{Channels, Grid, units};
use super::super::moments::Moments;
use super::super::problem::Operands;
use super::sizes::{Filter, TileLayout};
use super::transform::{self, Transform};
use super::weights::{Transformed, transform_weights};
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Blocks, Destination, Left, Rows, product, side_by_side, tile_rows};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::Windows;

/// The sums of a filter.
pub(super) struct FilterKernel<W, const M: usize, const N: usize> {
    filter: Filter,
    input: Grid<N>,
    output: Grid<M>,
    units: Units,
    layout: TileLayout,
    source: Address,
    weight: Address,
    out: Address,
    /// Parts of the result's channels, and tasks that transform weights.
    parts: usize,
    packers: usize,
    moments: Option<Moments>,
    transform: PhantomData<fn() -> W>,
}

/// A worker's memory: pixels of input and output, transformed tiles of both.
struct Buffers<T> {
    x: T,
    y: T,
    v: T,
    m: T,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> FilterKernel<W, M, N> {
    pub(super) fn new(
        filter: Filter,
        batch: usize,
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let lanes = level.tile().lanes;
        let Filter { channels, rows, out, .. } = filter;
        let cost = batch * out[0] * out[1] * channels * rows * (N * N) / (M * M) / lanes;
        let tasks = tasks_for(cost, threads);
        let grid = out.map(|size| size.div_ceil(M));
        let units = units(batch, grid, N * N * (channels + rows), tasks);
        let vectors = rows.div_ceil(lanes);
        let mut kernel = FilterKernel {
            filter,
            input: Grid::new(filter.source, filter.pad, grid, M),
            output: Grid::new(out, [0; 2], grid, M),
            units,
            layout: TileLayout {
                columns: grid[1],
                tiles: units.images * units.rows * grid[1],
                lanes,
            },
            source: regions.address(operands.source)?,
            weight: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            parts: tasks
                .div_ceil(units.count().max(1))
                .clamp(1, Blocks::wide(vectors, lanes).count()),
            packers: tasks_for(N * N * channels * rows, threads).min(vectors),
            moments: None,
            transform: PhantomData,
        };
        let (weights, machine) = (kernel.weights(), (threads, lanes));
        kernel.moments = Moments::new(operands, &kernel.units, weights, regions, machine)?;
        Ok(kernel)
    }

    /// Bytes of all transformed weights.
    fn weights(&self) -> usize {
        (N * N * self.frequency() * size_of::<f32>()).next_multiple_of(ALIGNMENT)
    }

    /// From one frequency's transformed weights to the next's: blocks of a few vectors of result
    /// channels, and in each, a row for each summed channel; and a vector, so that the frequencies
    /// spread over the sets of a cache.
    fn frequency(&self) -> usize {
        let rows = self.filter.rows.next_multiple_of(self.layout.lanes);
        rows * self.filter.channels + self.layout.lanes
    }

    /// Where a vector of result channels begins among the transformed weights of a frequency, and
    /// how far apart its rows are.
    fn vector(&self, vector: usize) -> (usize, usize) {
        let (first, block) = self.blocks().around(vector);
        let at = first * self.filter.channels + vector - first;
        (at * self.layout.lanes, block * self.layout.lanes)
    }

    /// The vectors of result channels.
    fn blocks(&self) -> Blocks {
        Blocks::wide(self.filter.rows.div_ceil(self.layout.lanes), self.layout.lanes)
    }

    /// The result channels of a part: whole blocks.
    fn rows(&self, part_index: usize) -> (usize, usize) {
        let (from, to) = self.blocks().part(self.parts, part_index);
        (from * self.layout.lanes, (to * self.layout.lanes).min(self.filter.rows))
    }

    fn buffers(&self) -> Buffers<usize> {
        let rows = (0..self.parts).map(|p| self.rows(p)).map(|(from, to)| to - from).max();
        let (channels, rows) = (self.filter.channels, rows.unwrap_or(0));
        let round = |elements: usize| elements.next_multiple_of(ALIGNMENT / size_of::<f32>());
        Buffers {
            x: round(self.input.elements(&self.units, self.layout.pixel(channels))),
            y: round(self.output.elements(&self.units, self.layout.pixel(rows))),
            v: round(N * N * self.layout.frequency(channels)),
            m: round(N * N * self.layout.frequency(rows)),
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> CpuKernel for FilterKernel<W, M, N> {
    fn scratch(&self) -> ScratchNeed {
        let Buffers { x, y, v, m } = self.buffers();
        let shared = self.moments.as_ref().map_or_else(|| self.weights(), Moments::shared);
        ScratchNeed { shared, worker: (x.max(y) + v + m) * size_of::<f32>() }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.packers),
            1 => Some(self.units.count() * self.parts),
            _ => Moments::tasks(self.moments.as_ref(), job - 2),
        }
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            return windows.add(context.shared_window(self.weights()));
        }
        if job > 1 {
            return Moments::finish_windows(self.moments.as_ref(), context, turn, windows);
        }
        let (index, part_index) = (turn.task / self.parts, turn.task % self.parts);
        let (unit, rows) = (self.units.unit(index), self.rows(part_index));
        let [height, width] = self.filter.out;
        let (from, to) = (unit.first_row * M, height.min((unit.first_row + unit.rows) * M));
        let row = unit.first_image * self.filter.rows + rows.0;
        let run = context.window(self.out, (row * height + from) * width, (to - from) * width);
        let size = height * width;
        windows.add(run.times(rows.1 - rows.0, size).times(unit.images, self.filter.rows * size));
        if let Some(moments) = &self.moments {
            moments.take_windows(context, (index, 1), (rows.0, rows.1 - rows.0), windows);
        }
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; each vector, each unit's rows of the result
        // and each moment belong to one task.
        unsafe {
            match job {
                0 => {
                    let vectors = self.filter.rows.div_ceil(self.layout.lanes);
                    let (from, to) = part(vectors, self.packers, turn.task, 1);
                    context.level.run(TransformWeights { kernel: self, context, from, to });
                }
                1 => context.level.run(FilterUnit { kernel: self, context, turn }),
                _ => Moments::finish(self.moments.as_ref(), context, turn),
            }
        }
    }
}

/// Transforms the weights of vectors `from..to` of result channels.
struct TransformWeights<'a, W, const M: usize, const N: usize> {
    kernel: &'a FilterKernel<W, M, N>,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for TransformWeights<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let weight = self.context.floats(k.weight).cast_const();
        let scratch = self.context.shared_scratch().cast::<f32>();
        for vector in self.from..self.to {
            let (at, channel) = k.vector(vector);
            let (first, frequency) = (vector * S::LANES, k.frequency());
            let to = Transformed { at: scratch.wrapping_add(at), channel, frequency };
            // SAFETY: the weight has the rows, channels and elements; the scratch memory has a place
            // for each vector of each frequency.
            unsafe {
                let channels = 0..k.filter.channels;
                transform_weights::<S, W, M, N>(&k.filter, weight, first, channels, to);
            }
        }
    }
}

/// One unit of tiles, for a part of the result's channels.
struct FilterUnit<'a, W, const M: usize, const N: usize> {
    kernel: &'a FilterKernel<W, M, N>,
    context: &'a Context<'a>,
    turn: Turn,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for FilterUnit<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, Filter { channels, rows, source, out, .. }) = (self.kernel, self.kernel.filter);
        let (index, part_index) = (self.turn.task / k.parts, self.turn.task % k.parts);
        let (unit, mine) = (k.units.unit(index), k.rows(part_index));
        let count = mine.1 - mine.0;
        let Buffers { x, y, v, .. } = k.buffers();
        // SAFETY: the operands have these pictures and rows; the scratch memory fits all buffers,
        // of which the pixels of input and output are not needed at the same time.
        unsafe {
            let pixels = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let v_at = pixels.add(x.max(y));
            let m_at = v_at.add(v);
            let size = source[0] * source[1];
            let data = self.context.floats(k.source);
            let from = Channels { data, count: channels, image: channels * size };
            k.input.load::<S>(from, &unit, pixels, k.layout.pixel(channels));
            let tiles = (v_at, k.layout.tile(channels), k.layout.frequency(channels));
            k.input.transform::<S, N>(&unit, (pixels, k.layout.pixel(channels)), tiles, |d| {
                transform::input::<S, W, M, N>(d)
            });
            self.multiply::<S>(&unit, mine, v_at, m_at);
            let tiles = (m_at.cast_const(), k.layout.tile(count), k.layout.frequency(count));
            k.output.transform_back::<S, N>(&unit, tiles, (pixels, k.layout.pixel(count)), |m| {
                transform::output::<S, W, M, N>(m)
            });
            let size = out[0] * out[1];
            let data = self.context.floats(k.out).add(mine.0 * size);
            let to = Channels { data, count, image: rows * size };
            let pixel = k.layout.pixel(count);
            k.output.store::<S>((pixels, pixel), &unit, to);
            if let Some(moments) = &k.moments {
                let pixels = k.output.pixels(&unit, pixels, pixel);
                moments.take::<S>(self.context, index, (mine.0, count), pixels);
            }
        }
    }
}

impl<W: Transform<M, N>, const M: usize, const N: usize> FilterUnit<'_, W, M, N> {
    /// The products of all frequencies: tiles times result channels.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        unit: &Unit,
        (from, to): (usize, usize),
        v: *const f32,
        m: *mut f32,
    ) {
        let (k, lanes, channels) = (self.kernel, S::LANES, self.kernel.filter.channels);
        let tiles = unit.images * unit.rows * k.layout.columns;
        let weights = self.context.shared_scratch().cast::<f32>().cast_const();
        let columns = side_by_side(lanes);
        for frequency in 0..N * N {
            let mut row = from;
            while row < to {
                let (at, step) = k.vector(row / lanes);
                let weights = weights.wrapping_add(frequency * k.frequency() + at);
                let right = Rows {
                    vectors: columns.map(|column| weights.wrapping_add(column)),
                    channels,
                    plane: step,
                    taps: &[0],
                };
                let v = v.wrapping_add(frequency * k.layout.frequency(channels));
                let m = m.wrapping_add(frequency * k.layout.frequency(to - from) + row - from);
                let (v, m) = ((v, k.layout.tile(channels)), (m, k.layout.tile(to - from)));
                // SAFETY: the buffers have these tiles of all frequencies, whole vectors each.
                unsafe { multiply::<S>(tiles, v, (right, step / lanes), m, false) };
                row += step;
            }
        }
    }
}

/// The most channels that are summed up before they are added to what there is, so that sums of sums
/// keep their digits.
const BLOCK: usize = 48;

/// Multiplies `tiles` transformed tiles with the transformed weights of one frequency and of a block
/// of so many vectors of result channels. Tiles lie apart as given beside their addresses.
///
/// # Safety
/// The machine has `S`, and all operands have that many tiles.
#[inline(always)]
pub(super) unsafe fn multiply<S: Simd>(
    tiles: usize,
    (v, v_tile): (*const f32, usize),
    (weights, vectors): (Rows<'_>, usize),
    (m, m_tile): (*mut f32, usize),
    accumulate: bool,
) {
    let (columns, rows) = (side_by_side(S::LANES), tile_rows::<S>(vectors));
    let blocks = weights.channels.div_ceil(BLOCK);
    for block in 0..blocks {
        let (first, end) = part(weights.channels, blocks, block, 1);
        let right = Rows {
            vectors: weights.vectors.map(|vector| vector.wrapping_add(first * weights.plane)),
            channels: end - first,
            ..weights
        };
        let accumulate = accumulate || first > 0;
        for tile in (0..tiles).step_by(rows) {
            let shape = (rows.min(tiles - tile), vectors);
            // SAFETY: the caller vouches for the operands.
            unsafe {
                let left = Left { at: v.add(tile * v_tile + first), row: v_tile, step: 1 };
                let to = m.add(tile * m_tile);
                let out = Destination { to, row: m_tile, columns, accumulate };
                product::<S>(shape, left, right, out);
            }
        }
    }
}
