//! The gradient of a convolution in its weight: dot products of the planes with those of the
//! result's gradient. Each chunk of the batch adds up its own; they are summed in order.

use onestep_engine::EngineError;

use super::Problem;
use super::geometry::Units;
use super::passes::Passes;
use super::planes::{Pictures, PlaneLayout};
use super::sums::Operands;
use crate::kernels::micro::{Destination, MAX_DOTS, dot_tile, dots};
use crate::native::{ALIGNMENT, Address, Context, Native, Regions, ScratchNeed, part, tasks_for};
use crate::pool::{Pool, TaskPanicked, Turn};
use crate::simd::{Level, Simd, Task};

/// Elements of a dot product that are taken at a time, so that rows stay in the first-level cache.
const SPAN: usize = 2048;

#[derive(Debug)]
pub(super) struct WeightGradKernel {
    /// The planes of the input and of the result's gradient, which has zeros where the input's
    /// planes have no output.
    layout: PlaneLayout,
    dy_layout: PlaneLayout,
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
}

impl WeightGradKernel {
    pub(super) fn new(
        problem: &Problem,
        mut passes: Passes,
        operands: &Operands<'_>,
        regions: Regions,
        (threads, level): (usize, Level),
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
        let units = passes.cut(problem.batch, channels + rows, 1, tasks, level.tile().lanes);
        let layout = passes.layout;
        let dy_layout = PlaneLayout {
            source: problem.output,
            phases: [1, 1],
            used: vec![0],
            pad: [0, 0],
            ..layout.clone()
        };
        let chunks = tasks.min(units.count() * problem.groups).max(1);
        let parts = tasks.div_ceil(chunks).min(rows.max(1)).max(1);
        let mut kernel = WeightGradKernel {
            layout,
            dy_layout,
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

impl Native for WeightGradKernel {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        let planes = self.layout.elements(self.channels) + self.dy_layout.elements(self.rows);
        ScratchNeed {
            shared: if self.chunks > 1 { bytes(self.chunks * self.elements()) } else { 0 },
            worker: bytes(planes),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, pool: &mut Pool) -> Result<(), TaskPanicked> {
        pool.run(self.chunks * self.parts, &|turn: Turn| {
            // SAFETY: the caller vouches for the context; the parts' rows are disjoint.
            unsafe { context.level.run(GradUnits { kernel: self, context, turn }) };
        })?;
        if self.chunks == 1 {
            return Ok(());
        }
        pool.run(self.summers, &|turn: Turn| {
            let (from, to) = part(self.elements(), self.summers, turn.task, 64);
            // SAFETY: each element belongs to one task; all chunks are done.
            unsafe { context.level.run(SumChunks { kernel: self, context, from, to }) };
        })
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
                std::ptr::write_bytes(first, 0, (rows.1 - rows.0) * columns);
            }
            let x = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let dy = x.add(k.layout.elements(k.channels));
            for item in from..to {
                let (index, group) = (item / k.groups, item % k.groups);
                self.fill::<S>(index, group, rows, (x, dy));
                let images = k.units.unit(index).images;
                let length = (images * k.layout.image()).next_multiple_of(S::LANES);
                let mut start = 0;
                while start < length {
                    let span = SPAN.min(length - start);
                    let (x, dy) = (x.add(start), dy.add(start));
                    let out = sums.add((group * k.rows + rows.0) * columns);
                    self.add::<S>((x, dy), span, rows.1 - rows.0, out);
                    start += span;
                }
            }
        }
    }
}

impl GradUnits<'_> {
    /// Lays out a unit's pictures and their gradients.
    #[inline(always)]
    unsafe fn fill<S: Simd>(
        &self,
        index: usize,
        group: usize,
        rows: (usize, usize),
        (x, dy): (*mut f32, *mut f32),
    ) {
        let k = self.kernel;
        let unit = k.units.unit(index);
        let size = |layout: &PlaneLayout| layout.source[0] * layout.source[1];
        let (x_size, dy_size) = (size(&k.layout), size(&k.dy_layout));
        let (x_image, dy_image) = (k.groups * k.channels * x_size, k.groups * k.rows * dy_size);
        // SAFETY: the operands have these pictures.
        unsafe {
            let pictures = Pictures {
                data: self
                    .context
                    .floats(k.x)
                    .add(unit.first_image * x_image + group * k.channels * x_size),
                image: x_image,
                channels: k.channels,
                count: unit.images,
                first: unit.first_row,
            };
            k.layout.fill::<S>(pictures, x);
            let pictures = Pictures {
                data: self
                    .context
                    .floats(k.dy)
                    .add(unit.first_image * dy_image + (group * k.rows + rows.0) * dy_size),
                image: dy_image,
                channels: rows.1 - rows.0,
                count: unit.images,
                first: unit.first_row,
            };
            k.dy_layout.fill_rows::<S>(pictures, unit.rows, dy);
        }
    }

    /// Adds the products of a span of the planes to the sums of `rows` output channels.
    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        (x, dy): (*const f32, *const f32),
        span: usize,
        rows: usize,
        out: *mut f32,
    ) {
        let k = self.kernel;
        let (height, width) = dot_tile::<S>();
        let (columns, taps) = (k.columns(), k.taps.len());
        let plane = k.dy_layout.plane();
        for first in (0..rows).step_by(height) {
            let count = height.min(rows - first);
            for column in (0..columns).step_by(width) {
                let mut right = [x; MAX_DOTS];
                let wide = width.min(columns - column);
                for (n, right) in right.iter_mut().enumerate().take(wide) {
                    let (channel, tap) = ((column + n) / taps, (column + n) % taps);
                    *right = x.wrapping_add(channel * k.layout.channel() + k.taps[tap]);
                }
                // SAFETY: the planes are as long as the span, and zeros follow the last.
                unsafe {
                    let to = Destination {
                        to: out.add(first * columns + column),
                        row: columns,
                        columns: [0; 3],
                        accumulate: true,
                    };
                    let left = dy.add(first * plane);
                    dots::<S>((count, wide), (left, plane), right, span, to);
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
            let out = std::slice::from_raw_parts_mut(out, count);
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
