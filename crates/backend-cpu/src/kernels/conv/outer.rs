//! The gradient of a convolution in its weight, channels last: for each window element, the sum
//! over all outputs of the outer product of the result's gradient with the input. Both are
//! transposed, so that vectors run along channels and no lane falls on a border, whatever the
//! stride and however small the pictures are: a table has the pixel under each window element.

use onestep_engine::EngineError;
use onestep_engine::ops::ConvWindow;

use super::geometry::{Unit, Units};
use super::problem::{Operands, Problem};
use super::window_pixels::Pixels;
use crate::cache::cached;
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Blocks, Destination, Left, Rows, product, side_by_side};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{Simd, Task, Tile, transpose};
use crate::stores::{Window, Windows, zeros};

/// Sums, in elements, that stay in a second-level cache beside a unit.
const FEW_SUMS: usize = 1 << 17;

/// Outputs of a unit at least where there are more sums: each unit reads and writes all of them.
const LEAST: usize = 128;

/// Outputs that are summed up before they are added to what there is: few enough for the
/// first-level cache, and for sums of sums to keep their digits.
const BLOCK: usize = 256;

/// Sums of outer products, for each window element.
#[derive(Debug)]
pub(super) struct OuterKernel {
    pixels: Pixels,
    /// For each window element and each output of a unit, where its pixel lies.
    places: Vec<usize>,
    /// Window elements.
    taps: usize,
    units: Units,
    groups: usize,
    /// Input channels and output channels of a group.
    channels: usize,
    rows: usize,
    /// Elements of the sums of one output channel and window element, and of all sums, by group,
    /// window element, output channel and input channel.
    row: usize,
    sums: usize,
    /// The result's height and width.
    out_size: [usize; 2],
    x: Address,
    dy: Address,
    out: Address,
    tile: Tile,
    /// Chunks of units, each with sums of its own, and parts of output channels.
    chunks: usize,
    parts: usize,
    finishers: usize,
}

impl OuterKernel {
    pub(super) fn new(
        problem: &Problem,
        window: &ConvWindow,
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let (channels, rows, tile) = (problem.in_channels, problem.out_channels, level.tile());
        let taps = problem.kernel[0] * problem.kernel[1];
        let outputs = problem.batch * problem.output[0] * problem.output[1];
        let cost = outputs * problem.groups * rows * channels * taps / tile.lanes;
        let tasks = tasks_for(cost, threads);
        let row = channels.next_multiple_of(tile.lanes);
        let sums = problem.groups * taps * rows * row;
        let least = if sums <= cached(FEW_SUMS) { 1 } else { LEAST };
        let mut pixels = Pixels::new(problem, window, tile.lanes);
        let line = pixels.step * pixels.size[1] * channels + problem.output[1] * rows;
        let spread = (pixels.reach - pixels.step).div_ceil(pixels.step);
        let units = Units::new(problem.batch, problem.output, (spread, line), least, tasks);
        pixels.rows = pixels.under(units.rows);
        let mut kernel = OuterKernel {
            places: pixels.places(problem, window, &units),
            pixels,
            taps,
            units,
            groups: problem.groups,
            channels,
            rows,
            row,
            sums,
            out_size: problem.output,
            x: regions.address(operands.source)?,
            dy: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            tile,
            chunks: 1,
            parts: 1,
            finishers: 1,
        };
        // A chunk has sums of its own. A part lays out the input anew, so it must have enough rows
        // to make up for that.
        let most_parts = (rows / (2 * kernel.panel())).max(1);
        let most_chunks = (units.count() * problem.groups).max(1);
        if sums <= cached(FEW_SUMS) {
            kernel.chunks = tasks.min(most_chunks);
            kernel.parts = tasks.div_ceil(kernel.chunks).min(most_parts);
        } else {
            kernel.parts = tasks.min(most_parts);
            kernel.chunks = tasks.div_ceil(kernel.parts).min(most_chunks);
        }
        kernel.finishers = tasks_for(4 * kernel.chunks * sums, threads);
        Ok(kernel)
    }

    /// Output channels that lie side by side: whole vectors, and whole tiles.
    fn panel(&self) -> usize {
        self.tile.lanes.max(self.tile.rows)
    }

    /// Outputs of a whole unit.
    fn outputs(&self) -> usize {
        self.units.images * self.units.rows * self.out_size[1]
    }

    /// Elements of a worker's transposed input and gradient.
    fn worker_parts(&self) -> [usize; 2] {
        let share = self.rows.div_ceil(self.panel()).div_ceil(self.parts) * self.panel();
        [self.pixels.elements(&self.units), self.outputs() * share]
            .map(|elements| elements.next_multiple_of(ALIGNMENT / size_of::<f32>()))
    }
}

impl CpuKernel for OuterKernel {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        ScratchNeed {
            shared: bytes(self.chunks * self.sums),
            worker: bytes(self.worker_parts().iter().sum()),
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
            let sums = context.shared_scratch().cast::<f32>().wrapping_add(chunk * self.sums);
            return windows.add(Window::run(sums, self.sums));
        }
        let (from, to) = part(self.groups * self.rows, self.finishers, turn.task, 1);
        let row = self.channels * self.taps;
        windows.add(context.shared_window(self.sums * size_of::<f32>()));
        windows.add(context.window(self.out, from * row, (to - from) * row));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; the parts' rows are disjoint, and then each
        // output channel belongs to one task.
        unsafe {
            match job {
                0 => context.level.run(AddUnits { kernel: self, context, turn }),
                _ => {
                    let rows = self.groups * self.rows;
                    let (from, to) = part(rows, self.finishers, turn.task, 1);
                    context.level.run(Finish { kernel: self, context, from, to });
                }
            }
        }
    }
}

/// A chunk of units, for a part of the output channels.
struct AddUnits<'a> {
    kernel: &'a OuterKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for AddUnits<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let (chunk, part_index) = (self.turn.task / k.parts, self.turn.task % k.parts);
        let rows = part(k.rows, k.parts, part_index, k.panel());
        let count = k.units.count();
        // A group's units follow each other, so its first sets the sums.
        let (from, to) = part(count * k.groups, k.chunks, chunk, 1);
        let [x_size, _] = k.worker_parts();
        // SAFETY: each task has its own rows of its chunk's sums; the scratch memory fits all
        // buffers and the sums.
        unsafe {
            let x = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let dy = x.add(x_size);
            let sums = self.context.shared_scratch().cast::<f32>().add(chunk * k.sums);
            for group in 0..k.groups {
                let mine = from.max(group * count)..to.min((group + 1) * count);
                let to = sums.add(group * k.taps * k.rows * k.row);
                if mine.is_empty() {
                    self.clear(rows, to);
                }
                for item in mine.clone() {
                    let unit = k.units.unit(item % count);
                    self.fill_x::<S>(&unit, group, x);
                    self.fill_dy::<S>(&unit, group, rows, dy);
                    self.add::<S>(&unit, rows, (x, dy), to, item > mine.start);
                }
            }
        }
    }
}

impl AddUnits<'_> {
    /// The sums of a group of which this chunk has no unit.
    unsafe fn clear(&self, rows: (usize, usize), sums: *mut f32) {
        let k = self.kernel;
        for tap in 0..k.taps {
            // SAFETY: the caller vouches for the sums.
            unsafe {
                let first = sums.add((tap * k.rows + rows.0) * k.row);
                zeros(first, (rows.1 - rows.0) * k.row);
            }
        }
    }

    /// Lays out a unit's pictures, channels last.
    #[inline(always)]
    unsafe fn fill_x<S: Simd>(&self, unit: &Unit, group: usize, x: *mut f32) {
        let k = self.kernel;
        let size = k.pixels.size[0] * k.pixels.size[1];
        for image in 0..unit.images {
            let channel = ((unit.first_image + image) * k.groups + group) * k.channels;
            // SAFETY: the input has these pictures; the buffer fits them.
            unsafe {
                let picture =
                    (self.context.floats(k.x).add(channel * size).cast_const(), k.channels);
                k.pixels.fill::<S>(picture, unit, image, x);
            }
        }
    }

    /// Lays out the gradient of a unit in panels of output channels.
    #[inline(always)]
    unsafe fn fill_dy<S: Simd>(
        &self,
        unit: &Unit,
        group: usize,
        rows: (usize, usize),
        out: *mut f32,
    ) {
        let k = self.kernel;
        let size = k.out_size[0] * k.out_size[1];
        let (outputs, all) = (unit.rows * k.out_size[1], k.outputs());
        for first in (rows.0..rows.1).step_by(k.panel()) {
            let count = k.panel().min(rows.1 - first);
            for image in 0..unit.images {
                let channel = ((unit.first_image + image) * k.groups + group) * k.rows + first;
                // SAFETY: the gradient has these pictures; the buffer fits all panels.
                unsafe {
                    let before = channel * size + unit.first_row * k.out_size[1];
                    let from = (self.context.floats(k.dy).add(before).cast_const(), size);
                    let at = (first - rows.0) * all + image * outputs * k.panel();
                    transpose::<S>(from, (count, outputs), (out.add(at), k.panel()));
                }
            }
        }
    }

    /// Adds a unit's products to the sums, or sets them.
    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        unit: &Unit,
        rows: (usize, usize),
        (x, dy): (*const f32, *const f32),
        sums: *mut f32,
        accumulate: bool,
    ) {
        let k = self.kernel;
        let outputs = unit.images * unit.rows * k.out_size[1];
        for from in (0..outputs).step_by(BLOCK) {
            let block = (from, outputs.min(from + BLOCK));
            // SAFETY: the buffers hold all outputs of the unit, and the sums these rows.
            unsafe {
                let dy = dy.add(from * k.panel());
                self.add_block::<S>(block, rows, (x, dy), sums, accumulate || from > 0);
            }
        }
    }

    /// The same for some of its outputs, for all window elements.
    #[inline(always)]
    unsafe fn add_block<S: Simd>(
        &self,
        (from, to): (usize, usize),
        rows: (usize, usize),
        (x, dy): (*const f32, *const f32),
        sums: *mut f32,
        accumulate: bool,
    ) {
        let (k, lanes) = (self.kernel, S::LANES);
        for (tap, places) in k.places.chunks(k.outputs().max(1)).enumerate() {
            let mut column = 0;
            while column < k.row {
                let vectors = Blocks::new(k.row / lanes).around(column / lanes).1;
                let columns = side_by_side(lanes);
                let right = Rows {
                    vectors: columns.map(|next| x.wrapping_add(column + next)),
                    channels: 1,
                    plane: 0,
                    taps: &places[from..to],
                };
                for row in (rows.0..rows.1).step_by(S::ROWS) {
                    let (panel, within) = ((row - rows.0) / k.panel(), (row - rows.0) % k.panel());
                    let shape = (S::ROWS.min(rows.1 - row), vectors);
                    // SAFETY: the caller vouches for outputs, rows and sums; each pixel and
                    // each row of the sums has whole vectors.
                    unsafe {
                        let left = dy.add(panel * k.panel() * k.outputs() + within);
                        let to = sums.add((tap * k.rows + row) * k.row + column);
                        let out = Destination { to, row: k.row, columns, accumulate };
                        product::<S>(shape, Left::packed(left, k.panel()), right, out);
                    }
                }
                column += vectors * lanes;
            }
        }
    }
}

/// Adds the chunks' sums in order, and puts the weights of output channels `from..to` into place.
struct Finish<'a> {
    kernel: &'a OuterKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, taps) = (self.kernel, self.kernel.taps);
        // SAFETY: the result and the sums have the elements, and nobody else uses the sums of these
        // output channels.
        unsafe {
            let sums = self.context.shared_scratch().cast::<f32>();
            for index in self.from..self.to {
                let (group, row) = (index / k.rows, index % k.rows);
                let first = sums.add((group * taps * k.rows + row) * k.row);
                for tap in 0..taps {
                    self.add_up::<S>(first.add(tap * k.rows * k.row));
                }
                let from = (first.cast_const(), k.rows * k.row);
                let out = self.context.floats(k.out).add(index * k.channels * taps);
                transpose::<S>(from, (taps, k.channels), (out, taps));
            }
        }
    }
}

impl Finish<'_> {
    /// Adds the other chunks' sums of an output channel and window element to those of the first.
    #[inline(always)]
    unsafe fn add_up<S: Simd>(&self, first: *mut f32) {
        let k = self.kernel;
        for chunk in 1..k.chunks {
            for channel in (0..k.row).step_by(S::LANES) {
                // SAFETY: the sums of each chunk have a row of whole vectors.
                unsafe {
                    let to = first.add(channel);
                    let more = S::load(to.add(chunk * k.sums));
                    S::store(to, S::add(S::load(to), more));
                }
            }
        }
    }
}
