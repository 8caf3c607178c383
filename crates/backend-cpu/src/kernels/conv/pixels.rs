//! The convolution and the gradient in its input with channels last, for many channels and any
//! window: pictures are transposed to pixels, the pixels under the windows of a few outputs are
//! put side by side, and those rows are multiplied with the packed weights.

use onestep_engine::EngineError;

use super::classes::Sums;
use super::geometry::{Unit, Units};
use super::grid::{Channels, Grid, OUTSIDE};
use super::moments::Moments;
use super::problem::{Operands, Problem};
use super::way::{MOST_ELEMENTS, PICTURE};
use crate::cache::cached;
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Blocks, Destination, Left, Rows, product, side_by_side};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task, transpose};
use crate::stores::Windows;

/// Outputs whose windows are put side by side at a time.
const BLOCK: usize = 32;
/// The sums of all outputs.
pub(super) struct PixelsKernel {
    sums: Sums,
    input: Grid<1>,
    output: Grid<1>,
    units: Units,
    groups: usize,
    lanes: usize,
    /// For each class, where its packed weights begin within a group.
    packed: Vec<usize>,
    source: Address,
    weight: Address,
    out: Address,
    /// Parts of the result's channels, and tasks that pack weights.
    parts: usize,
    packers: usize,
    moments: Option<Moments>,
}

impl PixelsKernel {
    pub(super) fn new(
        sums: Sums,
        problem: &Problem,
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let (lanes, batch) = (level.tile().lanes, problem.batch);
        let windows: usize = sums.classes.iter().map(|c| c.places.len()).sum();
        let (channels, rows) = (sums.channels, sums.rows);
        let tasks = tasks_for(batch * problem.groups * windows * channels * rows / lanes, threads);
        let pixels = |size: [usize; 2], channels: usize| size[0] * size[1] * channels;
        let picture = pixels(sums.source, channels) + pixels(sums.out, rows);
        let wanted = (cached(PICTURE) / picture.max(1)).clamp(1, batch.div_ceil(tasks).max(1));
        let groups = batch.div_ceil(wanted).max(1).next_multiple_of(tasks);
        let images = batch.div_ceil(groups).max(1);
        let units = Units { batch, images, rows: 1, height: 1 };
        let mut packed = vec![0];
        for class in &sums.classes {
            let before = packed.last().copied().unwrap_or(0);
            packed.push(before + class.elements.len() * channels * rows.next_multiple_of(lanes));
        }
        let weights = packed.last().copied().unwrap_or(0) * problem.groups;
        let vectors = rows.div_ceil(lanes);
        let bytes = weights * size_of::<f32>();
        Ok(PixelsKernel {
            moments: Moments::new(operands, &units, bytes, regions, (threads, lanes))?,
            input: Grid::whole(sums.source),
            output: Grid::whole(sums.out),
            groups: problem.groups,
            lanes,
            packed,
            source: regions.address(operands.source)?,
            weight: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            parts: tasks
                .div_ceil((units.count() * problem.groups).max(1))
                .clamp(1, Blocks::new(vectors).count()),
            packers: tasks_for(4 * weights, threads).min(vectors * problem.groups),
            units,
            sums,
        })
    }

    fn pixel(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.lanes)
    }

    /// The vectors of result channels.
    fn blocks(&self) -> Blocks {
        Blocks::new(self.sums.rows.div_ceil(self.lanes))
    }

    /// The result channels of a part: whole blocks of vectors.
    fn rows(&self, part_index: usize) -> (usize, usize) {
        let (from, to) = self.blocks().part(self.parts, part_index);
        (from * self.lanes, (to * self.lanes).min(self.sums.rows))
    }

    /// Elements of a row of windows: an odd number of vectors, so that rows spread over the sets
    /// of a cache.
    fn window(&self, elements: usize) -> usize {
        ((elements * self.pixel(self.sums.channels) / self.lanes) | 1) * self.lanes
    }

    /// Elements of the packed weights of a group.
    fn weights(&self) -> usize {
        self.packed.last().copied().unwrap_or(0)
    }

    /// Where a class's weights for a vector of result channels begin, and how far apart its rows
    /// are: blocks of up to three vectors, in each a row for each element and channel.
    fn vector(&self, group: usize, class: usize, vector: usize) -> (usize, usize) {
        let (first, block) = self.blocks().around(vector);
        let inner = self.sums.classes[class].elements.len() * self.sums.channels;
        let at = (first * inner + vector - first) * self.lanes;
        (group * self.weights() + self.packed[class] + at, block * self.lanes)
    }

    /// Elements of a worker's pixels of input and output, windows, and results of a block.
    fn buffers(&self) -> [usize; 4] {
        let rows = (0..self.parts).map(|p| self.rows(p)).map(|(from, to)| to - from).max();
        let pixel = self.pixel(rows.unwrap_or(0));
        let elements = self.sums.classes.iter().map(|c| c.elements.len()).max().unwrap_or(0);
        [
            self.input.elements(&self.units, self.pixel(self.sums.channels)),
            self.output.elements(&self.units, pixel),
            BLOCK * self.window(elements),
            BLOCK * pixel,
        ]
        .map(|elements| elements.next_multiple_of(ALIGNMENT / size_of::<f32>()))
    }
}

impl CpuKernel for PixelsKernel {
    fn scratch(&self) -> ScratchNeed {
        let shared = (self.groups * self.weights() * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        let shared = self.moments.as_ref().map_or(shared, Moments::shared);
        ScratchNeed { shared, worker: self.buffers().iter().sum::<usize>() * size_of::<f32>() }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.packers),
            1 => Some(self.units.count() * self.groups * self.parts),
            _ => Moments::tasks(self.moments.as_ref(), job - 2),
        }
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            let bytes = self.groups * self.weights() * size_of::<f32>();
            return windows.add(context.shared_window(bytes));
        }
        if job > 1 {
            return Moments::finish_windows(self.moments.as_ref(), context, turn, windows);
        }
        let (rest, part_index) = (turn.task / self.parts, turn.task % self.parts);
        let (index, group) = (rest / self.groups, rest % self.groups);
        let (unit, rows) = (self.units.unit(index), self.rows(part_index));
        let size = self.sums.out[0] * self.sums.out[1];
        let row = (unit.first_image * self.groups + group) * self.sums.rows + rows.0;
        let run = context.window(self.out, row * size, (rows.1 - rows.0) * size);
        windows.add(run.times(unit.images, self.groups * self.sums.rows * size));
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
                    let vectors = self.groups * self.sums.rows.div_ceil(self.lanes);
                    let (from, to) = part(vectors, self.packers, turn.task, 1);
                    context.level.run(PackWeights { kernel: self, context, from, to });
                }
                1 => context.level.run(SumUnit { kernel: self, context, turn }),
                _ => Moments::finish(self.moments.as_ref(), context, turn),
            }
        }
    }
}

/// Packs the weights of vectors `from..to` of result channels, of all groups.
struct PackWeights<'a> {
    kernel: &'a PixelsKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for PackWeights<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, sums) = (self.kernel, &self.kernel.sums);
        let (layout, vectors) = (&sums.weights, sums.rows.div_ceil(S::LANES));
        // SAFETY: the weight has the rows, channels and elements, and the scratch memory a place
        // for each vector of each class.
        unsafe {
            let weight = self.context.floats(k.weight).cast_const();
            let scratch = self.context.shared_scratch().cast::<f32>();
            for index in self.from..self.to {
                let (group, vector) = (index / vectors, index % vectors);
                let first = vector * S::LANES;
                let size = (S::LANES.min(sums.rows - first), sums.elements);
                // The lanes behind the last row stay zero.
                let mut window = [0.0f32; MOST_ELEMENTS * MAX_LANES];
                for channel in 0..sums.channels {
                    let at = group * layout.group + first * layout.row + channel * layout.channel;
                    let from = (weight.add(at), layout.row);
                    transpose::<S>(from, size, (window.as_mut_ptr(), S::LANES));
                    for (index, class) in sums.classes.iter().enumerate() {
                        let (at, step) = k.vector(group, index, vector);
                        for (e, element) in class.elements.iter().enumerate() {
                            let lanes = S::load(window.as_ptr().add(element * S::LANES));
                            S::store(scratch.add(at + (e * sums.channels + channel) * step), lanes);
                        }
                    }
                }
            }
        }
    }
}

/// One unit of one group, for a part of the result's channels.
struct SumUnit<'a> {
    kernel: &'a PixelsKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

/// What a unit's blocks have in common.
#[derive(Clone, Copy)]
struct Buffers {
    x: *const f32,
    y: *mut f32,
    windows: *mut f32,
    results: *mut f32,
}

impl Task for SumUnit<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, sums) = (self.kernel, &self.kernel.sums);
        let (rest, part_index) = (self.turn.task / k.parts, self.turn.task % k.parts);
        let (index, group) = (rest / k.groups, rest % k.groups);
        let unit = k.units.unit(index);
        let rows = k.rows(part_index);
        let [x, y, windows, _] = k.buffers();
        // SAFETY: the operands have these pictures and rows; the scratch memory fits all buffers.
        unsafe {
            let x_at = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let y_at = x_at.add(x);
            let buffers =
                Buffers { x: x_at, y: y_at, windows: y_at.add(y), results: y_at.add(y + windows) };
            let size = sums.source[0] * sums.source[1];
            let data = self.context.floats(k.source).add(group * sums.channels * size);
            let image = k.groups * sums.channels * size;
            let from = Channels { data, count: sums.channels, image };
            k.input.load::<S>(from, &unit, x_at, k.pixel(sums.channels));
            self.classes::<S>(&unit, group, rows, buffers);
            let size = sums.out[0] * sums.out[1];
            let data = self.context.floats(k.out).add((group * sums.rows + rows.0) * size);
            let (count, image) = (rows.1 - rows.0, k.groups * sums.rows * size);
            let to = Channels { data, count, image };
            k.output.store::<S>((y_at, k.pixel(count)), &unit, to);
            if let Some(moments) = &k.moments {
                let pixels = k.output.pixels(&unit, y_at, k.pixel(count));
                moments.take::<S>(self.context, index, (rows.0, count), pixels);
            }
        }
    }
}

impl SumUnit<'_> {
    /// The sums of all classes of all pictures of a unit, block by block.
    #[inline(always)]
    unsafe fn classes<S: Simd>(
        &self,
        unit: &Unit,
        group: usize,
        rows: (usize, usize),
        buffers: Buffers,
    ) {
        let (k, sums) = (self.kernel, &self.kernel.sums);
        let (pixel, out_pixel) = (k.pixel(sums.channels), k.pixel(rows.1 - rows.0));
        let (in_size, out_size) = (sums.source[0] * sums.source[1], sums.out[0] * sums.out[1]);
        for image in 0..unit.images {
            let (before, out_before) = (1 + image * in_size, 1 + image * out_size);
            for (index, class) in sums.classes.iter().enumerate() {
                let elements = class.elements.len();
                for (b, outputs) in class.outputs.chunks(BLOCK).enumerate() {
                    let places = &class.places[b * BLOCK * elements..];
                    let places = &places[..outputs.len() * elements];
                    // SAFETY: the buffers hold the unit's pixels and a block.
                    unsafe {
                        self.gather::<S>(places, elements, (buffers.x, before, pixel), buffers);
                        self.multiply::<S>((group, index), outputs.len(), rows, buffers);
                        for (i, output) in outputs.iter().enumerate() {
                            let from = buffers.results.add(i * out_pixel);
                            let to = buffers.y.add((out_before + output) * out_pixel);
                            copy::<S>(from, to, out_pixel);
                        }
                    }
                }
            }
        }
    }

    /// Puts the pixels under the windows of a block side by side.
    #[inline(always)]
    unsafe fn gather<S: Simd>(
        &self,
        places: &[usize],
        elements: usize,
        (x, before, pixel): (*const f32, usize, usize),
        buffers: Buffers,
    ) {
        if elements == 0 {
            return;
        }
        let (width, channels) = (self.kernel.window(elements), self.kernel.sums.channels);
        for (row, places) in places.chunks(elements).enumerate() {
            for (e, &place) in places.iter().enumerate() {
                // The first pixel is one of zeros.
                let from = if place == OUTSIDE { 0 } else { (before + place) * pixel };
                // SAFETY: the caller vouches for the buffers. Whole vectors beyond the channels
                // are overwritten by the next element's, or lie within the row.
                unsafe {
                    let to = buffers.windows.add(row * width + e * channels);
                    copy::<S>(x.add(from), to, pixel);
                }
            }
        }
    }

    /// Multiplies a block of windows with the weights of a class.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        (group, class): (usize, usize),
        outputs: usize,
        (from, to): (usize, usize),
        buffers: Buffers,
    ) {
        let (k, lanes) = (self.kernel, S::LANES);
        let elements = k.sums.classes[class].elements.len();
        let (width, out_pixel) = (k.window(elements), k.pixel(to - from));
        let columns = side_by_side(lanes);
        let weights = self.context.shared_scratch().cast::<f32>().cast_const();
        let mut row = from;
        while row < to {
            let (at, step) = k.vector(group, class, row / lanes);
            let right = Rows {
                vectors: columns.map(|column| weights.wrapping_add(at + column)),
                channels: elements * k.sums.channels,
                plane: step,
                taps: &[0],
            };
            for output in (0..outputs).step_by(S::ROWS) {
                let shape = (S::ROWS.min(outputs - output), step / lanes);
                // SAFETY: the buffers have these rows, whole vectors each.
                unsafe {
                    let at = buffers.windows.add(output * width);
                    let left = Left { at, row: width, step: 1 };
                    let to = buffers.results.add(output * out_pixel + row - from);
                    let out = Destination { to, row: out_pixel, columns, accumulate: false };
                    product::<S>(shape, left, right, out);
                }
            }
            row += step;
        }
    }
}

/// Copies whole vectors.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, count: usize) {
    for i in (0..count).step_by(S::LANES) {
        // SAFETY: the caller vouches for the elements.
        unsafe { S::store(to.add(i), S::load(from.add(i))) };
    }
}
