//! The gradient of a convolution in its weight: dot products of the planes with those of the
//! result's gradient, which are read where they lie if their rows are whole vectors. Each chunk of
//! the batch adds up its own; they are summed in order.

use onestep_engine::EngineError;

use super::geometry::{Unit, Units};
use super::passes::Passes;
use super::planes::{Pictures, PlaneLayout};
use super::problem::{Operands, Problem};
use crate::cache::cached;
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Destination, MAX_DOTS, Runs, WIDEST, dot_tile, dots};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task};
use crate::stores::{Window, Windows, elements, zeros};

/// Elements of a dot product that are taken at a time, whole vectors of them, so that rows stay in the
/// first-level cache.
const SPAN: usize = 2048;

#[derive(Debug)]
pub(super) struct WeightGradKernel {
    layout: PlaneLayout,
    /// The planes of the result's gradient, with zeros where the input's planes have no output;
    /// none where it is read in place.
    dy_layout: Option<PlaneLayout>,
    /// The result's height and width.
    out_size: [usize; 2],
    taps: Vec<usize>,
    units: Units,
    groups: usize,
    /// Input channels and output channels of a group.
    channels: usize,
    rows: usize,
    x: Address,
    dy: Address,
    out: Address,
    /// Chunks of units, and parts of output channels.
    chunks: usize,
    parts: usize,
    summers: usize,
    /// Elements of a dot product that are taken at a time.
    span: usize,
}

impl WeightGradKernel {
    pub(super) fn new(
        problem: &Problem,
        mut passes: Passes,
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let (channels, rows) = (problem.in_channels, problem.out_channels);
        let taps = problem.kernel[0] * problem.kernel[1];
        let cost = problem.batch
            * problem.groups
            * rows
            * channels
            * taps
            * passes.grid[0]
            * passes.grid[1]
            / level.tile().lanes;
        let tasks = tasks_for(cost, threads);
        let units = passes.cut(problem.batch, channels + rows, tasks, level.tile().lanes);
        let layout = passes.layout;
        let in_place = problem.output[1].is_multiple_of(level.tile().lanes);
        let dy_layout = (!in_place).then(|| PlaneLayout {
            source: problem.output,
            phases: [1, 1],
            used: vec![0],
            pad: [0, 0],
            ..layout.clone()
        });
        let chunks = tasks.min(units.count() * problem.groups).max(1);
        let parts = tasks.div_ceil(chunks).min(rows.max(1)).max(1);
        let mut kernel = WeightGradKernel {
            layout,
            dy_layout,
            out_size: problem.output,
            taps: passes.passes.swap_remove(0).taps,
            units,
            groups: problem.groups,
            channels,
            rows,
            x: regions.address(operands.source)?,
            dy: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            chunks,
            parts,
            summers: 1,
            span: cached(SPAN).max(MAX_LANES),
        };
        kernel.summers = tasks_for(kernel.elements() * kernel.chunks, threads);
        Ok(kernel)
    }

    /// Elements of the weight.
    fn elements(&self) -> usize {
        self.groups * self.rows * self.columns()
    }

    /// Weights of one output channel.
    fn columns(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// The sums of a chunk: with one chunk, the result itself.
    fn sums(&self, context: &Context<'_>, chunk: usize) -> *mut f32 {
        match self.chunks {
            1 => context.floats(self.out),
            // SAFETY: the shared scratch memory has a place for each chunk.
            _ => unsafe { context.shared_scratch().cast::<f32>().add(chunk * self.elements()) },
        }
    }
}

impl CpuKernel for WeightGradKernel {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        let dy = self.dy_layout.as_ref().map_or(0, |layout| layout.elements(self.rows));
        let planes = self.layout.elements(self.channels) + dy;
        ScratchNeed {
            shared: if self.chunks > 1 { bytes(self.chunks * self.elements()) } else { 0 },
            worker: bytes(planes),
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.chunks * self.parts),
            1 if self.chunks > 1 => Some(self.summers),
            _ => None,
        }
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job > 0 {
            let (from, to) = part(self.elements(), self.summers, turn.task, 64);
            return windows.add(context.window(self.out, from, to - from));
        }
        let (chunk, part_index) = (turn.task / self.parts, turn.task % self.parts);
        let rows = part(self.rows, self.parts, part_index, 1);
        let sums = self.sums(context, chunk).wrapping_add(rows.0 * self.columns());
        let run = Window::run(sums, (rows.1 - rows.0) * self.columns());
        windows.add(run.times(self.groups, self.rows * self.columns()));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; the parts' rows are disjoint, and then each
        // element belongs to one task.
        unsafe {
            match job {
                0 => context.level.run(GradUnits { kernel: self, context, turn }),
                _ => {
                    let (from, to) = part(self.elements(), self.summers, turn.task, 64);
                    context.level.run(SumChunks { kernel: self, context, from, to });
                }
            }
        }
    }
}

/// A chunk of units, for a part of the output channels.
struct GradUnits<'a> {
    kernel: &'a WeightGradKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for GradUnits<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let (chunk, part_index) = (self.turn.task / k.parts, self.turn.task % k.parts);
        let rows = part(k.rows, k.parts, part_index, 1);
        let (from, to) = part(k.units.count() * k.groups, k.chunks, chunk, 1);
        let sums = k.sums(self.context, chunk);
        let columns = k.columns();
        // SAFETY: each task has its own rows of its chunk's sums; the scratch memory fits both
        // kinds of planes.
        unsafe {
            for group in 0..k.groups {
                let first = sums.add((group * k.rows + rows.0) * columns);
                zeros(first, (rows.1 - rows.0) * columns);
            }
            let x = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            for item in from..to {
                let (unit, group) = (k.units.unit(item / k.groups), item % k.groups);
                let out = sums.add((group * k.rows + rows.0) * columns);
                self.fill_x::<S>(&unit, group, x);
                let dy = self.gradient(&unit, group, rows.0);
                match &k.dy_layout {
                    Some(layout) => self.add_planes::<S>(layout, &unit, (x, dy), rows, out),
                    None => self.add_in_place::<S>(&unit, (x, dy), rows, out),
                }
            }
        }
    }
}

impl GradUnits<'_> {
    /// Lays out a unit's pictures.
    #[inline(always)]
    unsafe fn fill_x<S: Simd>(&self, unit: &Unit, group: usize, x: *mut f32) {
        let k = self.kernel;
        let size = k.layout.source[0] * k.layout.source[1];
        let image = k.groups * k.channels * size;
        // SAFETY: the input has these pictures; the buffer fits the planes.
        unsafe {
            let before = unit.first_image * image + group * k.channels * size;
            let pictures = Pictures {
                data: self.context.floats(k.x).add(before),
                image,
                channels: k.channels,
                count: unit.images,
                first: unit.first_row,
            };
            k.layout.fill::<S>(pictures, x);
        }
    }

    /// The gradient of a unit's first picture in an output channel.
    #[inline(always)]
    unsafe fn gradient(&self, unit: &Unit, group: usize, row: usize) -> *const f32 {
        let k = self.kernel;
        let channel = (unit.first_image * k.groups + group) * k.rows + row;
        // SAFETY: the gradient has the picture and the channel.
        unsafe { self.context.floats(k.dy).add(channel * k.out_size[0] * k.out_size[1]) }
    }

    /// Adds the products of a unit whose gradient is read where it lies.
    #[inline(always)]
    unsafe fn add_in_place<S: Simd>(
        &self,
        unit: &Unit,
        (x, dy): (*const f32, *const f32),
        rows: (usize, usize),
        out: *mut f32,
    ) {
        let k = self.kernel;
        let [height, width] = k.out_size;
        let most = (k.span / width.max(1)).max(1);
        for image in 0..unit.images {
            for row in (0..unit.rows).step_by(most) {
                let count = most.min(unit.rows - row);
                let runs = Runs { count, length: width, left: width, right: k.layout.columns };
                // SAFETY: the gradient has the picture's rows, and the planes have them.
                unsafe {
                    let x = x.add(image * k.layout.image() + row * k.layout.columns);
                    let image = image * k.groups * k.rows * height;
                    let dy = dy.add((image + unit.first_row + row) * width);
                    self.add::<S>(x, (dy, height * width), runs, rows.1 - rows.0, out);
                }
            }
        }
    }

    /// Lays out a unit's gradient, and adds its products.
    #[inline(always)]
    unsafe fn add_planes<S: Simd>(
        &self,
        layout: &PlaneLayout,
        unit: &Unit,
        (x, dy): (*const f32, *const f32),
        rows: (usize, usize),
        out: *mut f32,
    ) {
        let k = self.kernel;
        let pictures = Pictures {
            data: dy,
            image: k.groups * k.rows * k.out_size[0] * k.out_size[1],
            channels: rows.1 - rows.0,
            count: unit.images,
            first: unit.first_row,
        };
        // SAFETY: the gradient has these pictures; the scratch memory has room for both kinds of
        // planes, one behind the other.
        unsafe {
            let dy = x.cast_mut().add(k.layout.elements(k.channels));
            layout.fill_rows::<S>(pictures, unit.rows, dy);
            let length = (unit.images * layout.image()).next_multiple_of(S::LANES);
            for start in (0..length).step_by(k.span) {
                let span = k.span.min(length - start);
                let runs = Runs::one(span);
                let dy = (dy.add(start).cast_const(), layout.plane());
                self.add::<S>(x.add(start), dy, runs, rows.1 - rows.0, out);
            }
        }
    }

    /// Adds the products of some runs to the sums of `rows` output channels, whose gradients lie
    /// `plane` elements apart.
    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        x: *const f32,
        (dy, plane): (*const f32, usize),
        runs: Runs,
        rows: usize,
        out: *mut f32,
    ) {
        let k = self.kernel;
        let (height, width) = dot_tile(S::ROWS);
        let (columns, taps) = (k.columns(), k.taps.len());
        for first in (0..rows).step_by(height) {
            let count = height.min(rows - first);
            for column in (0..columns).step_by(width) {
                let mut right = [x; MAX_DOTS];
                let wide = width.min(columns - column);
                for (n, right) in right.iter_mut().enumerate().take(wide) {
                    let (channel, tap) = ((column + n) / taps, (column + n) % taps);
                    *right = x.wrapping_add(channel * k.layout.channel() + k.taps[tap]);
                }
                // SAFETY: the caller vouches for the runs; the sums have these rows and columns.
                unsafe {
                    let to = Destination {
                        to: out.add(first * columns + column),
                        row: columns,
                        columns: [0; WIDEST],
                        accumulate: true,
                    };
                    let left = (dy.add(first * plane), plane);
                    dots::<S>((count, wide), left, right, runs, to);
                }
            }
        }
    }
}

/// Adds the chunks' sums in order.
struct SumChunks<'a> {
    kernel: &'a WeightGradKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for SumChunks<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, count) = (self.kernel, self.to - self.from);
        // SAFETY: the result and each chunk have the elements; the chunks are not written.
        unsafe {
            let out = self.context.floats(k.out).add(self.from);
            let out = elements(out, count);
            for chunk in 0..k.chunks {
                let part = k.sums(self.context, chunk).add(self.from);
                let part = std::slice::from_raw_parts(part, count);
                if chunk == 0 {
                    out.copy_from_slice(part);
                } else {
                    out.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                }
            }
        }
    }
}
