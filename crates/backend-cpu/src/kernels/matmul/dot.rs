//! Products straight from memory, as dot products of rows. Where both operands are contiguous along
//! the inner index and one of them has few rows, each number of the other is used so few times that
//! packing it would take as long as the product.

use super::operands::Operands;
use crate::cache::cached;
use crate::cpu_kernel::{Context, CpuKernel, ScratchNeed, part, tasks_for};
use crate::kernels::micro::{Destination, MAX_DOTS, Runs, WIDEST, dot_tile, dots};
use crate::kernels::pack::Matrix;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task};
use crate::stores::{Windows, zeros};

/// The most rows of the smaller operand.
const THIN: usize = 64;
/// Inner indices for each of those rows, and at least: with fewer, adding up the lanes of all sums
/// takes longer than packing.
const RATIO: usize = 8;
const LEAST: usize = 32;
/// Elements of the smaller operand that are kept in a cache.
const KEPT: usize = 1 << 16;

/// One product or a batch of them. The larger operand is cut into parts, one for each task.
#[derive(Debug)]
pub(super) struct DotKernel {
    operands: Operands,
    /// Tasks for each product.
    parts: usize,
    /// Inner indices whose sums are made at a time.
    block: usize,
}

impl DotKernel {
    /// Whether this is the way to compute a product.
    pub(super) fn suits(operands: &Operands) -> bool {
        let Operands { m, n, k, a, b, .. } = *operands;
        let thin = m.min(n);
        (a.column, b.row) == (1, 1) && thin <= THIN && k >= LEAST && k >= RATIO * thin
    }

    pub(super) fn new(operands: Operands, threads: usize, lanes: usize) -> Self {
        let (m, n, k, products) = (operands.m, operands.n, operands.k, operands.batches.len());
        let tasks = tasks_for(products * m * n * k / lanes, threads);
        let parts = tasks.div_ceil(products.max(1)).min(m.max(n).div_ceil(MAX_DOTS)).max(1);
        let most = (cached(KEPT) / m.min(n).max(1)).clamp(LEAST, k.max(LEAST));
        // Blocks of about the same length.
        let block = k.div_ceil(k.div_ceil(most).max(1)).next_multiple_of(MAX_LANES);
        DotKernel { operands, parts, block }
    }

    /// Which product a task belongs to, and which rows and columns of its result are the task's, for
    /// tiles of so many rows.
    fn part(&self, task: usize, tile_rows: usize) -> (usize, (usize, usize), (usize, usize)) {
        let (m, n) = (self.operands.m, self.operands.n);
        let (batch, index) = (task / self.parts, task % self.parts);
        let (height, width) = dot_tile(tile_rows);
        if n >= m {
            (batch, (0, m), part(n, self.parts, index, width))
        } else {
            (batch, part(m, self.parts, index, height), (0, n))
        }
    }
}

impl CpuKernel for DotKernel {
    fn scratch(&self) -> ScratchNeed {
        ScratchNeed::default()
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        (job == 0).then_some(self.operands.batches.len() * self.parts)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let Operands { m, n, c, .. } = self.operands;
        let (batch, rows, columns) = self.part(turn.task, context.level.tile().rows);
        let first = (batch * m + rows.0) * n + columns.0;
        let run = context.window(c, first, columns.1 - columns.0);
        windows.add(run.times(rows.1 - rows.0, n));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; each part of a result belongs to one task.
        unsafe { context.level.run(Part { kernel: self, context, task: turn.task }) };
    }
}

/// A part of one product: some columns of the result, or some rows where it has more of them.
struct Part<'a> {
    kernel: &'a DotKernel,
    context: &'a Context<'a>,
    task: usize,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let DotKernel { ref operands, block, .. } = *self.kernel;
        let (m, n) = (operands.m, operands.n);
        let (batch, rows, columns) = self.kernel.part(self.task, S::ROWS);
        let (a, b) = operands.matrices(self.context, batch);
        let (height, width) = dot_tile(S::ROWS);
        // SAFETY: no other task writes these rows and columns of the result.
        unsafe {
            let c = self.context.floats(operands.c).add(batch * m * n);
            for row in rows.0..rows.1 {
                zeros(c.add(row * n + columns.0), columns.1 - columns.0);
            }
            let mut first = 0;
            while first < operands.k {
                let inner = (first, block.min(operands.k - first));
                let tiles = Tiles { a, b, c, row: n, inner };
                if n >= m {
                    for column in (columns.0..columns.1).step_by(width) {
                        for row in (rows.0..rows.1).step_by(height) {
                            let size = (height.min(rows.1 - row), width.min(columns.1 - column));
                            tiles.add::<S>((row, column), size);
                        }
                    }
                } else {
                    for row in (rows.0..rows.1).step_by(height) {
                        for column in (columns.0..columns.1).step_by(width) {
                            let size = (height.min(rows.1 - row), width.min(columns.1 - column));
                            tiles.add::<S>((row, column), size);
                        }
                    }
                }
                first += block;
            }
        }
    }
}

/// The tiles of a result, for a block of inner indices.
struct Tiles {
    a: Matrix,
    b: Matrix,
    c: *mut f32,
    /// Elements from one row of the result to the next.
    row: usize,
    /// The first inner index and how many there are.
    inner: (usize, usize),
}

impl Tiles {
    /// Adds the products of the block to the tile of this size from this row and column on.
    #[inline(always)]
    unsafe fn add<S: Simd>(&self, (row, column): (usize, usize), size: (usize, usize)) {
        let (first, length) = self.inner;
        let whole = length / S::LANES * S::LANES;
        // SAFETY: the caller vouches for the tile.
        unsafe {
            let left = self.a.from(row, first);
            let right = self.b.from(first, column);
            let to = self.c.add(row * self.row + column);
            let out = Destination { to, row: self.row, columns: [0; WIDEST], accumulate: true };
            let mut rows = [right.data; MAX_DOTS];
            for (i, at) in rows.iter_mut().enumerate() {
                *at = right.data.wrapping_add(i * right.column);
            }
            dots::<S>(size, (left.data, left.row), rows, Runs::one(whole), out);
            if whole < length {
                add_rest::<S>(
                    size,
                    left.from(0, whole),
                    rows.map(|r| r.wrapping_add(whole)),
                    length - whole,
                    out,
                );
            }
        }
    }
}

/// Adds the products of the last inner indices, fewer than there are lanes: copies of them, with
/// zeros behind.
#[inline(always)]
unsafe fn add_rest<S: Simd>(
    size: (usize, usize),
    left: Matrix,
    right: [*const f32; MAX_DOTS],
    count: usize,
    out: Destination,
) {
    let mut rows = [[0.0f32; MAX_LANES]; 2 * MAX_DOTS];
    let (left_rows, right_rows) = rows.split_at_mut(MAX_DOTS);
    // SAFETY: the caller vouches for the rows.
    unsafe {
        for (i, to) in left_rows.iter_mut().enumerate().take(size.0) {
            std::ptr::copy_nonoverlapping(left.from(i, 0).data, to.as_mut_ptr(), count);
        }
        for (from, to) in right.iter().zip(right_rows.iter_mut()).take(size.1) {
            std::ptr::copy_nonoverlapping(*from, to.as_mut_ptr(), count);
        }
        let mut right = right;
        for (to, row) in right.iter_mut().zip(right_rows) {
            *to = row.as_ptr();
        }
        dots::<S>(size, (left_rows.as_ptr().cast(), MAX_LANES), right, Runs::one(S::LANES), out);
    }
}
