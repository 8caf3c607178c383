//! Products of a few rows with a large matrix that lies row by row, straight from memory: each
//! number of the large one is used so few times that packing it would take as long as the product.
//! The inner index is cut into a part for each task, so that each streams its own rows; the parts'
//! sums are added up at the end.

use super::operands::Operands;
use crate::cpu_kernel::{ALIGNMENT, Context, CpuKernel, ScratchNeed, part, tasks_for};
use crate::kernels::micro::{Destination, Left, Rows, product, side_by_side};
use crate::pool::Turn;
use crate::simd::{Simd, Task, Tile, VECTORS};
use crate::stores::{Window, Windows};

/// The most rows of the result.
const FEW: usize = 32;
/// Inner indices for each row of the result, and at least.
const RATIO: usize = 32;
/// Elements of the result: each task has sums for all of them in its cache.
const MOST_SUMS: usize = 1 << 14;
/// Inner indices whose products are added up before the sums go back to memory. A few, so that the
/// large matrix is read almost in order.
const BLOCK: usize = 128;

/// One product.
#[derive(Debug)]
pub(super) struct ThinKernel {
    operands: Operands,
    tile: Tile,
    /// Tasks, each with sums of its own.
    parts: usize,
    /// Tasks that add up the parts' sums.
    adders: usize,
}

impl ThinKernel {
    /// Whether this is the way to compute a product.
    pub(super) fn suits(operands: &Operands, tile: Tile) -> bool {
        let Operands { m, n, k, b, ref batches, .. } = *operands;
        b.column == 1
            && n.is_multiple_of(tile.lanes)
            && (1..=FEW).contains(&m)
            && (1..=MOST_SUMS).contains(&(m * n))
            && k >= RATIO * m
            && batches.len() == 1
    }

    pub(super) fn new(operands: Operands, threads: usize, tile: Tile) -> Self {
        let cost = operands.m * operands.n * operands.k / tile.lanes;
        let parts = tasks_for(cost, threads).min(operands.k.div_ceil(BLOCK));
        let adders = tasks_for(parts * operands.m * operands.n, threads);
        ThinKernel { operands, tile, parts, adders }
    }

    /// Elements of the result.
    fn sums(&self) -> usize {
        self.operands.m * self.operands.n
    }

    /// The sums of a part: with one part, the result itself.
    fn part(&self, context: &Context<'_>, index: usize) -> *mut f32 {
        match self.parts {
            1 => context.floats(self.operands.c),
            // SAFETY: the shared scratch memory has a place for each part.
            _ => unsafe { context.shared_scratch().cast::<f32>().add(index * self.sums()) },
        }
    }
}

impl CpuKernel for ThinKernel {
    fn scratch(&self) -> ScratchNeed {
        let parts = if self.parts > 1 { self.parts } else { 0 };
        let shared = (parts * self.sums() * size_of::<f32>()).next_multiple_of(ALIGNMENT);
        ScratchNeed { shared, worker: 0 }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        match job {
            0 => Some(self.parts),
            1 if self.parts > 1 => Some(self.adders),
            _ => None,
        }
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        if job == 0 {
            let sums = Window::run(self.part(context, turn.task), self.sums());
            return windows.add(sums);
        }
        let (from, to) = part(self.sums(), self.adders, turn.task, self.tile.lanes);
        windows.add(context.window(self.operands.c, from, to - from));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        if job == 0 {
            // SAFETY: the caller vouches for the context; each part's sums belong to one task.
            unsafe { context.level.run(Part { kernel: self, context, task: turn.task }) };
        } else {
            let (from, to) = part(self.sums(), self.adders, turn.task, self.tile.lanes);
            // SAFETY: the parts are done; each stretch of the result belongs to one task.
            unsafe { context.level.run(AddUp { kernel: self, context, from, to }) };
        }
    }
}

/// The products of some inner indices.
struct Part<'a> {
    kernel: &'a ThinKernel,
    context: &'a Context<'a>,
    task: usize,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        let Operands { m, n, k, .. } = kernel.operands;
        let (a, b) = kernel.operands.matrices(self.context, 0);
        let (from, to) = part(k, kernel.parts, self.task, BLOCK);
        let width = VECTORS * S::LANES;
        // SAFETY: there are sums for each part; the tiles lie within the matrices, whose rows are
        // whole vectors.
        unsafe {
            let sums = kernel.part(self.context, self.task);
            for first in (from..to).step_by(BLOCK) {
                let inner = BLOCK.min(to - first);
                for column in (0..n).step_by(width) {
                    let vectors = (n - column).div_ceil(S::LANES).min(VECTORS);
                    let columns = side_by_side(S::LANES);
                    let right = b.from(first, column);
                    let right = Rows {
                        vectors: columns.map(|c| right.data.wrapping_add(c)),
                        channels: inner,
                        plane: right.row,
                        taps: &[0],
                    };
                    for row in (0..m).step_by(S::ROWS) {
                        let rows = S::ROWS.min(m - row);
                        let left = a.from(row, first);
                        let left = Left { at: left.data, row: left.row, step: left.column };
                        let to = sums.add(row * n + column);
                        let accumulate = first > from;
                        let out = Destination { to, row: n, columns, accumulate };
                        product::<S>((rows, vectors), left, right, out);
                    }
                }
            }
        }
    }
}

/// Adds up the parts' sums, in order.
struct AddUp<'a> {
    kernel: &'a ThinKernel,
    context: &'a Context<'a>,
    from: usize,
    to: usize,
}

impl Task for AddUp<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        // SAFETY: the sums and the result have that many elements, whole vectors of them.
        unsafe {
            let out = self.context.floats(kernel.operands.c);
            for at in (self.from..self.to).step_by(S::LANES) {
                let mut total = S::load(kernel.part(self.context, 0).add(at));
                for index in 1..kernel.parts {
                    total = S::add(total, S::load(kernel.part(self.context, index).add(at)));
                }
                S::store(out.add(at), total);
            }
        }
    }
}
