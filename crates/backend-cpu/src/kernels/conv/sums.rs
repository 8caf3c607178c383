//! The convolution and the gradient in its input: sums over channels and window elements, as
//! products of packed weights with the planes.

use onestep_engine::EngineError;

use super::geometry::{Pass, Segment, Unit, Units, Vector};
use super::passes::Passes;
use super::planes::{Pictures, PlaneLayout};
use super::problem::{Operands, Problem, WeightLayout};
use crate::cpu_kernel::{
    ALIGNMENT, Address, Context, CpuKernel, Regions, ScratchNeed, part, tasks_for,
};
use crate::kernels::micro::{Destination, Left, MAX_ROWS, Rows, TileBuffer, product, side_by_side};
use crate::machine::Machine;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task, Tile, VECTORS};
use crate::stores::{Window, Windows, put};

/// Sums over channels and window elements, for each row (output channel) of each group.
#[derive(Debug)]
pub(super) struct SumsKernel {
    layout: PlaneLayout,
    passes: Vec<Pass>,
    units: Units,
    groups: usize,
    /// Summed channels and result rows of a group.
    channels: usize,
    rows: usize,
    /// The result's height and width.
    out_size: [usize; 2],
    weight_layout: WeightLayout,
    source: Address,
    weight: Address,
    out: Address,
    tile: Tile,
    /// Panels of result rows, and into how many parts they are split.
    panels: usize,
    parts: usize,
    packers: usize,
}

impl SumsKernel {
    pub(super) fn new(
        problem: &Problem,
        mut passes: Passes,
        weight_layout: WeightLayout,
        (channels, rows): (usize, usize),
        operands: &Operands<'_>,
        regions: Regions,
        Machine { threads, level }: Machine,
    ) -> Result<Self, EngineError> {
        let tile = level.tile();
        let out_size = [operands.out.shape[2], operands.out.shape[3]];
        let taps = problem.kernel[0] * problem.kernel[1];
        let cost = problem.batch
            * problem.groups
            * rows
            * channels
            * taps
            * operands.source.shape[2].max(out_size[0])
            * operands.source.shape[3].max(out_size[1])
            / tile.lanes;
        let tasks = tasks_for(cost, threads);
        let units = passes.cut(problem.batch, channels, tasks, tile.lanes);
        let picture = problem.groups * rows * out_size[0] * out_size[1];
        passes.passes.iter_mut().for_each(|pass| pass.place(picture, out_size[1]));
        let panels = rows.div_ceil(tile.rows);
        let most = units.count() * problem.groups;
        let parts = tasks.div_ceil(most.max(1)).clamp(1, panels.max(1));
        let mut kernel = SumsKernel {
            layout: passes.layout,
            passes: passes.passes,
            units,
            groups: problem.groups,
            channels,
            rows,
            out_size,
            weight_layout,
            source: regions.address(operands.source)?,
            weight: regions.address(operands.weight)?,
            out: regions.address(operands.out)?,
            tile,
            panels,
            parts,
            packers: 1,
        };
        if tasks > 1 {
            kernel.packers = tasks_for(4 * kernel.packed(), threads);
        }
        Ok(kernel)
    }

    /// The unit, the group and the panels of a task.
    fn part(&self, task: usize) -> (Unit, usize, (usize, usize)) {
        let (rest, index) = (task / self.parts, task % self.parts);
        let panels = part(self.panels, self.parts, index, 1);
        (self.units.unit(rest / self.groups), rest % self.groups, panels)
    }

    /// Elements of a packed panel of one pass.
    fn panel(&self, pass: &Pass) -> usize {
        self.channels * pass.taps.len() * self.tile.rows
    }

    /// Elements of all packed weights.
    fn packed(&self) -> usize {
        let group: usize = self.passes.iter().map(|p| self.panel(p) * self.panels).sum();
        self.groups * group
    }

    /// Elements of packed weights before a group's pass.
    fn packed_before(&self, group: usize, pass: usize) -> usize {
        let before: usize = self.passes[..pass].iter().map(|p| self.panel(p) * self.panels).sum();
        group * (self.packed() / self.groups.max(1)) + before
    }
}

impl CpuKernel for SumsKernel {
    fn scratch(&self) -> ScratchNeed {
        let bytes = |elements: usize| (elements * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        ScratchNeed {
            shared: bytes(self.packed()),
            worker: bytes(self.layout.elements(self.channels)),
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        [self.packers, self.units.count() * self.groups * self.parts].get(job).copied()
    }

    #[cfg(test)]
    fn strips(&self) -> (usize, bool) {
        self.units.cut()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            return windows.add(context.shared_window(self.packed() * size_of::<f32>()));
        }
        let (unit, group, panels) = self.part(turn.task);
        let rows = (panels.0 * self.tile.rows, (panels.1 * self.tile.rows).min(self.rows));
        let [height, width] = self.out_size;
        // All passes go over the same rows of the stride's grid.
        let step = self.passes.first().map_or(1, |pass| pass.step[0]);
        let (from, to) = (unit.first_row * step, height.min((unit.first_row + unit.rows) * step));
        let row = (unit.first_image * self.groups + group) * self.rows + rows.0;
        let first = context.floats(self.out).wrapping_add((row * height + from) * width);
        let picture = self.groups * self.rows * height * width;
        windows.add(
            Window::run(first, (to - from) * width)
                .times(rows.1 - rows.0, height * width)
                .times(unit.images, picture),
        );
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        if job == 0 {
            let (from, to) = part(self.groups * self.panels, self.packers, turn.task, 1);
            // SAFETY: the caller vouches for the context; each panel belongs to one task.
            unsafe { context.level.run(PackWeights { kernel: self, context, from, to }) };
        } else {
            // SAFETY: as above; each unit's rows of the result belong to one task.
            unsafe { context.level.run(SumUnit { kernel: self, context, turn }) };
        }
    }
}

/// Packs panels `from..to` of all groups, for all passes.
struct PackWeights<'a> {
    kernel: &'a SumsKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for PackWeights<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let weight = self.context.floats(k.weight);
        let scratch = self.context.shared_scratch().cast::<f32>();
        for index in self.from..self.to {
            let (group, panel) = (index / k.panels, index % k.panels);
            let first = panel * S::ROWS;
            let count = S::ROWS.min(k.rows - first);
            for (p, pass) in k.passes.iter().enumerate() {
                // SAFETY: the weight has the rows, channels and elements; the scratch memory has a
                // place for the panel.
                unsafe {
                    let mut to = scratch.add(k.packed_before(group, p) + panel * k.panel(pass));
                    let layout = &k.weight_layout;
                    let from = weight.add(group * layout.group + first * layout.row);
                    for channel in 0..k.channels {
                        for &element in &pass.elements {
                            let from = from.add(channel * layout.channel + element);
                            for r in 0..S::ROWS {
                                let x = if r < count { *from.add(r * layout.row) } else { 0.0 };
                                put(to.add(r), x);
                            }
                            to = to.add(S::ROWS);
                        }
                    }
                }
            }
        }
    }
}

/// One unit of one group, for a part of the result's rows.
struct SumUnit<'a> {
    kernel: &'a SumsKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for SumUnit<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.kernel;
        let (unit, group, panels) = k.part(self.turn.task);
        let size = k.layout.source[0] * k.layout.source[1];
        let image = k.groups * k.channels * size;
        let planes = self.context.worker_scratch(self.turn.worker).cast::<f32>();
        // SAFETY: the operands have these pictures and rows; the scratch memory fits the planes.
        unsafe {
            let source = self.context.floats(k.source);
            let pictures = Pictures {
                data: source.add(unit.first_image * image + group * k.channels * size),
                image,
                channels: k.channels,
                count: unit.images,
                first: unit.first_row,
            };
            k.layout.fill::<S>(pictures, planes);
            for (index, pass) in k.passes.iter().enumerate() {
                let weights = self.context.shared_scratch().cast::<f32>();
                let weights = weights.add(k.packed_before(group, index));
                let first = (unit.first_image * k.groups + group) * k.rows * k.out_size[0];
                let first = (first + unit.first_row * pass.step[0]) * k.out_size[1];
                let place = Results { kernel: k, pass, unit: (unit.images, pass.rows_of(&unit)) };
                let out = self.context.floats(k.out).add(first);
                for vectors in pass.vectors_of(&unit).chunks(VECTORS) {
                    for panel in panels.0..panels.1 {
                        let left = weights.add(panel * k.panel(pass));
                        place.tile::<S>(left, planes, vectors, panel, out);
                    }
                }
            }
        }
    }
}

/// Where the results of a pass over a unit go.
struct Results<'a> {
    kernel: &'a SumsKernel,
    pass: &'a Pass,
    /// Pictures and rows of the pass that the unit has.
    unit: (usize, usize),
}

impl Results<'_> {
    /// Computes up to three vectors of a panel's rows; `out` is the unit's first result.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &self,
        left: *const f32,
        planes: *const f32,
        vectors: &[Vector],
        panel: usize,
        out: *mut f32,
    ) {
        let (k, pass) = (self.kernel, self.pass);
        let first = panel * S::ROWS;
        let rows = S::ROWS.min(k.rows - first);
        let size = k.out_size[0] * k.out_size[1];
        let at = |v: usize| vectors.get(v).map_or(planes, |v| planes.wrapping_add(v.at));
        let right = Rows {
            vectors: std::array::from_fn(at),
            channels: k.channels,
            plane: k.layout.channel(),
            taps: &pass.taps,
        };
        let shape = (rows, vectors.len());
        // SAFETY: the planes hold whole vectors from each of these on, the panel its weights, and
        // the result all rows and columns of the unit.
        unsafe {
            if pass.step[1] == 1 && vectors.iter().all(|v| v.whole) {
                let column =
                    |v: usize| vectors.get(v).map_or(0, |v| pass.segments[v.segments.0].to);
                let columns = std::array::from_fn(column);
                let out = out.add(first * size);
                let to = Destination { to: out, row: size, columns, accumulate: false };
                product::<S>(shape, Left::packed(left, S::ROWS), right, to);
                return;
            }
            let mut buffer: TileBuffer = [0.0; MAX_ROWS * VECTORS * MAX_LANES];
            let row = VECTORS * S::LANES;
            let columns = side_by_side(S::LANES);
            let from = buffer.as_mut_ptr();
            let to = Destination { to: from, row, columns, accumulate: false };
            product::<S>(shape, Left::packed(left, S::ROWS), right, to);
            for (v, vector) in vectors.iter().enumerate() {
                for segment in &pass.segments[vector.segments.0..vector.segments.1] {
                    if !segment.is_in(self.unit) {
                        continue;
                    }
                    let to = out.add(first * size + segment.to);
                    for r in 0..rows {
                        let from = from.add(r * row + v * S::LANES);
                        scatter::<S>(from, segment, to.add(r * size), pass.step[1]);
                    }
                }
            }
        }
    }
}

/// Writes a segment's lanes `step` elements apart.
#[inline(always)]
unsafe fn scatter<S: Simd>(from: *const f32, segment: &Segment, to: *mut f32, step: usize) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        if step == 1 {
            let start = to.wrapping_sub(segment.from);
            S::store_lanes(start, S::load(from), segment.from, segment.end);
        } else {
            for lane in segment.from..segment.end {
                put(to.add((lane - segment.from) * step), *from.add(lane));
            }
        }
    }
}
