//! Products by packed panels (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008). The smaller operand is packed once by all workers; each task packs a
//! strip of the other and multiplies it with all of the first. A left-hand side that is used little
//! is not packed. Where a [`Follower`] takes the product, a strip's results stay in the cache.

use super::block::Block;
use super::operands::Operands;
use crate::cache::cached;
use crate::cpu_kernel::{ALIGNMENT, Context, CpuKernel, ScratchNeed, part, tasks_for};
use crate::fused::Follower;
use crate::kernels::micro::{Blocks, Left};
use crate::kernels::pack::{Matrix, pack};
use crate::pool::Turn;
use crate::simd::{Simd, Task, Tile};
use crate::stores::Windows;

/// Inner indices that are multiplied before the sums go back to memory.
const INNER: usize = 384;
/// Elements of a strip: half of a second-level cache.
const STRIP: usize = 1 << 16;

/// Elements of a strip's results that a follower takes: a quarter of a second-level cache.
const FOLLOWED: usize = if cfg!(test) { 1 << 8 } else { 1 << 15 };

/// Elements of the right-hand side of a product that is followed: all of it is packed, for rows of
/// any length.
const MOST_RIGHT: usize = 1 << 18;

/// The left-hand side is packed if more panels of the other than these are multiplied with it.
const FEW_PANELS: usize = 8;

/// Which operand is packed first, for all tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    Left,
    Right,
}

/// Products by packed panels.
#[derive(Debug)]
pub(super) struct PackedKernel {
    operands: Operands,
    tile: Tile,
    shared: Shared,
    /// Columns of a panel of the right-hand side: whole vectors.
    columns: usize,
    /// The left-hand side is read where it lies.
    direct: bool,
    /// Tasks for each product, each one strip after the other.
    parts: usize,
    /// Rows (or columns) of a strip: whole panels.
    strip: usize,
    inner: usize,
    /// Tasks for packing.
    packers: usize,
    /// What takes the result, which then is not in memory.
    follower: Option<Follower>,
}

impl PackedKernel {
    pub(super) fn new(
        operands: Operands,
        follower: Option<Follower>,
        threads: usize,
        tile: Tile,
    ) -> Self {
        let k = operands.k;
        let mut kernel = PackedKernel {
            tile,
            // What is followed must come in whole rows.
            shared: match operands.n >= operands.m && follower.is_none() {
                true => Shared::Left,
                false => Shared::Right,
            },
            columns: tile.columns(),
            direct: false,
            parts: 1,
            strip: 1,
            inner: k.div_ceil(k.div_ceil(cached(INNER).max(1)).max(1)).max(1),
            packers: 1,
            operands,
            follower,
        };
        kernel.cut(threads);
        kernel
    }

    /// Whether a follower can take the product of these operands.
    pub(super) fn can_be_followed(operands: &Operands) -> bool {
        operands.batches.len() == 1 && operands.n * operands.k <= MOST_RIGHT
    }

    /// Chooses strips and tasks.
    fn cut(&mut self, threads: usize) {
        let Operands { m, n, k, a, ref batches, .. } = self.operands;
        let tasks = tasks_for(batches.len() * m * n * k / self.tile.lanes, threads);
        let (total, unit) = self.split();
        self.parts = tasks.div_ceil(batches.len().max(1)).min(total.div_ceil(unit)).max(1);
        let share = total.div_ceil(unit).div_ceil(self.parts) * unit;
        // Panels of about the same width, as a narrow one takes longer for each of its columns.
        let columns = if self.shared == Shared::Left { share } else { n };
        let panels = Blocks::new(columns.div_ceil(self.tile.lanes).max(1));
        self.columns = panels.widest() * self.tile.lanes;
        self.direct = a.column == 1 && panels.count() <= FEW_PANELS;
        let width = if self.shared == Shared::Left { self.columns } else { self.tile.rows };
        let widest = (cached(STRIP) / self.inner / width).max(1) * width;
        self.strip = widest.min(share.next_multiple_of(width));
        if self.follower.is_some() {
            self.strip = self.strip.min((FOLLOWED / n.max(1) / width).max(1) * width);
        }
        let packed = batches.len() * self.shared_elements();
        self.packers = if tasks == 1 { 1 } else { tasks_for(packed * 4, threads) };
    }

    /// What the tasks share among them, columns or rows, and in which units.
    fn split(&self) -> (usize, usize) {
        match self.shared {
            Shared::Left => (self.operands.n, self.tile.lanes),
            Shared::Right => (self.operands.m, self.tile.rows),
        }
    }

    /// Rows of the packed operand's panels, the panels' width, and how many there are.
    fn panels(&self) -> (usize, usize, usize) {
        let (rows, width) = match self.shared {
            Shared::Left => (self.operands.m, self.tile.rows),
            Shared::Right => (self.operands.n, self.columns),
        };
        (rows, width, rows.div_ceil(width))
    }

    /// Elements of one product's packed operand.
    fn shared_elements(&self) -> usize {
        if self.direct && self.shared == Shared::Left {
            return 0;
        }
        let (_, width, count) = self.panels();
        count * width * self.operands.k
    }

    /// Bytes of a worker's packed strip, and of its results where they are followed.
    fn strip_bytes(&self) -> [usize; 2] {
        let across = if self.follower.is_some() { self.operands.n } else { 0 };
        [self.inner, across]
            .map(|row| (self.strip * row * size_of::<f32>()).next_multiple_of(ALIGNMENT))
    }
}

impl CpuKernel for PackedKernel {
    fn scratch(&self) -> ScratchNeed {
        let shared = self.operands.batches.len() * self.shared_elements() * size_of::<f32>();
        let follower = self.follower.as_ref().map_or(0, Follower::scratch);
        ScratchNeed {
            shared: shared.next_multiple_of(ALIGNMENT),
            worker: self.strip_bytes().iter().sum::<usize>() + follower,
        }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        let Operands { m, n, ref batches, .. } = self.operands;
        let packers = if self.shared_elements() > 0 { self.packers } else { 0 };
        let tasks = [packers, batches.len() * self.parts];
        tasks.get(job).copied().filter(|_| m * n * batches.len() > 0)
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let Operands { m, n, c, ref batches, .. } = self.operands;
        if job == 0 {
            let packed = batches.len() * self.shared_elements() * size_of::<f32>();
            return windows.add(context.shared_window(packed));
        }
        let (batch, index) = (turn.task / self.parts, turn.task % self.parts);
        let (total, unit) = self.split();
        let (from, to) = part(total, self.parts, index, unit);
        if let Some(follower) = &self.follower {
            return follower.windows(context, (from * n, to * n), windows);
        }
        windows.add(match self.shared {
            Shared::Left => context.window(c, batch * m * n + from, to - from).times(m, n),
            Shared::Right => context.window(c, (batch * m + from) * n, (to - from) * n),
        });
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        if job == 0 {
            let (_, _, panels) = self.panels();
            let total = self.operands.batches.len() * panels;
            let (from, to) = part(total, self.packers, turn.task, 1);
            // SAFETY: the caller vouches for the context; each panel belongs to one task.
            unsafe { context.level.run(PackShared { kernel: self, context, from, to }) };
        } else {
            // SAFETY: as above; each strip of the result belongs to one task.
            unsafe { context.level.run(Multiply { kernel: self, context, turn }) };
        }
    }
}

/// Packs panels `from..to` of all products' shared operands, whole in the inner index.
struct PackShared<'a> {
    kernel: &'a PackedKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for PackShared<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        let (rows, width, panels) = kernel.panels();
        let scratch = self.context.shared_scratch().cast::<f32>();
        let mut index = self.from;
        while index < self.to {
            let (batch, panel) = (index / panels, index % panels);
            let count = (panels - panel).min(self.to - index);
            let (a, b) = kernel.operands.matrices(self.context, batch);
            let matrix = if kernel.shared == Shared::Left { a } else { b.transposed() };
            let first = panel * width;
            // SAFETY: the scratch memory has a place for each panel.
            unsafe {
                let out = scratch.add(index * width * kernel.operands.k);
                let rows = (count * width).min(rows - first);
                pack::<S>(matrix.from(first, 0), rows, kernel.operands.k, width, out);
            }
            index += count;
        }
    }
}

/// Multiplies one part of one product, strip by strip.
struct Multiply<'a> {
    kernel: &'a PackedKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        let (batch, index) = (self.turn.task / kernel.parts, self.turn.task % kernel.parts);
        let (total, unit) = kernel.split();
        let (from, to) = part(total, kernel.parts, index, unit);
        let (a, b) = kernel.operands.matrices(self.context, batch);
        let strip_memory = self.context.worker_scratch(self.turn.worker).cast::<f32>();
        let mut first = from;
        while first < to {
            let count = kernel.strip.min(to - first);
            let results = self.results(batch, first);
            let mut k = 0;
            while k < kernel.operands.k || (kernel.operands.k == 0 && k == 0) {
                let inner = kernel.inner.min(kernel.operands.k - k);
                // SAFETY: the strip fits the worker's scratch memory.
                unsafe {
                    match kernel.shared {
                        Shared::Left => {
                            let matrix = b.from(k, first).transposed();
                            pack::<S>(matrix, count, inner, kernel.columns, strip_memory);
                        }
                        Shared::Right if !kernel.direct => {
                            let matrix = a.from(first, k);
                            pack::<S>(matrix, count, inner, kernel.tile.rows, strip_memory);
                        }
                        Shared::Right => {}
                    }
                    self.strip::<S>((batch, a), (first, count), (k, inner), strip_memory, results);
                }
                k += kernel.inner;
            }
            if let Some(follower) = &kernel.follower {
                // SAFETY: the strip's results are computed, and belong to this task.
                unsafe { self.follow::<S>(follower, (first, count), results) };
            }
            first += count;
        }
    }
}

/// Where a product's element `[row, column]` goes: to `at + row * step + column`.
#[derive(Clone, Copy)]
struct Results {
    at: *mut f32,
    step: usize,
}

impl Results {
    fn element(&self, row: usize, column: usize) -> *mut f32 {
        self.at.wrapping_add(row * self.step + column)
    }
}

impl Multiply<'_> {
    /// Where the results of a strip go: to their place in memory, or to the worker's.
    fn results(&self, batch: usize, first: usize) -> Results {
        let kernel = self.kernel;
        let (m, n) = (kernel.operands.m, kernel.operands.n);
        if kernel.follower.is_none() {
            let at = self.context.floats(kernel.operands.c).wrapping_add(batch * m * n);
            return Results { at, step: n };
        }
        let memory = self.context.worker_scratch(self.turn.worker);
        let block = memory.wrapping_add(kernel.strip_bytes()[0]).cast::<f32>();
        Results { at: block.wrapping_sub(first * n), step: n }
    }

    /// Hands a strip's results to the follower.
    #[inline(always)]
    unsafe fn follow<S: Simd>(
        &self,
        follower: &Follower,
        (first, count): (usize, usize),
        results: Results,
    ) {
        let (kernel, n) = (self.kernel, self.kernel.operands.n);
        let memory = self.context.worker_scratch(self.turn.worker);
        let memory = memory.wrapping_add(kernel.strip_bytes().iter().sum());
        let range = (first * n, (first + count) * n);
        // SAFETY: the worker's memory has room for the follower; the caller vouches for the rest.
        unsafe { follower.run::<S>(self.context, memory, range, results.element(first, 0)) };
    }

    /// Multiplies a packed strip with all panels of the shared operand.
    #[inline(always)]
    unsafe fn strip<S: Simd>(
        &self,
        (batch, a): (usize, Matrix),
        (first, count): (usize, usize),
        (k, inner): (usize, usize),
        strip: *const f32,
        results: Results,
    ) {
        let kernel = self.kernel;
        let (rows, width, panels) = kernel.panels();
        let (strip_width, by_strip) = match kernel.shared {
            Shared::Left => (kernel.columns, true),
            Shared::Right => (kernel.tile.rows, false),
        };
        // SAFETY: both operands are packed; the result has `m` rows of `n`.
        unsafe {
            let shared = self.context.shared_scratch().cast::<f32>();
            let shared = shared.add(batch * kernel.shared_elements());
            for panel in 0..panels {
                let packed = shared.add((panel * kernel.operands.k + k) * width);
                let mut at = 0;
                while at < count {
                    let (packed, own) = (packed.cast_const(), strip.add(at * inner));
                    let (left, right, row, column) = if by_strip {
                        (packed, own, panel * width, first + at)
                    } else {
                        (own, packed, first + at, panel * width)
                    };
                    let (in_panel, in_strip) =
                        (width.min(rows - panel * width), strip_width.min(count - at));
                    let (height, columns) =
                        if by_strip { (in_panel, in_strip) } else { (in_strip, in_panel) };
                    let left = if kernel.direct {
                        let corner = a.from(row, k);
                        Left { at: corner.data, row: corner.row, step: corner.column }
                    } else {
                        Left::packed(left, S::ROWS)
                    };
                    let right = (right, kernel.columns);
                    let block = Block { left, right, inner, height, columns, accumulate: k > 0 };
                    block.multiply::<S>(results.element(row, column), results.step);
                    at += strip_width;
                }
            }
        }
    }
}
