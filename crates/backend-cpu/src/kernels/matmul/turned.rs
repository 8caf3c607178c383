//! Products of a few rows with a large matrix whose columns lie one behind the other, as the
//! gradient in the input of a dense layer has them: computed turned over, columns of the large
//! matrix times the packed few rows, so that its numbers are read where they lie, each once. Blocks
//! of the result are turned back in registers.

use std::mem::MaybeUninit;

use super::operands::Operands;
use crate::cpu_kernel::{ALIGNMENT, Context, CpuKernel, ScratchNeed, part, tasks_for};
use crate::kernels::micro::{Blocks, Destination, Left, Rows, product, side_by_side};
use crate::kernels::pack::pack;
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task, Tile, prefetch, transpose};
use crate::stores::Windows;

/// The most rows of the result.
const FEW: usize = 64;
/// Columns for each row of the result, at least.
const RATIO: usize = 2;
/// Elements of the packed rows, which stay in a cache.
const MOST_PACKED: usize = 1 << 15;
/// Inner indices, at least: with fewer, turning blocks back takes longer than packing.
const LEAST: usize = 32;
/// Columns of a block of the result: whole cache lines, and more than one. The rows of the result
/// often lie a power of two apart, so that a line may not stay in the cache until the next block.
const COLUMNS: usize = 64;
/// Elements of such a block, turned over.
const BLOCK: usize = COLUMNS * (FEW + MAX_LANES);

/// One product.
#[derive(Debug)]
pub(super) struct TurnedKernel {
    operands: Operands,
    /// Elements of a packed panel's row: whole vectors.
    width: usize,
    /// Tasks, each with columns of its own.
    parts: usize,
}

impl TurnedKernel {
    /// Whether this is the way to compute a product. Fewer rows than half a vector would leave most
    /// lanes empty.
    pub(super) fn suits(operands: &Operands, tile: Tile) -> bool {
        let Operands { m, n, k, b, ref batches, .. } = *operands;
        b.row == 1
            && (tile.lanes / 2..=FEW).contains(&m)
            && n >= RATIO * m
            && (LEAST..=MOST_PACKED / FEW).contains(&k)
            && batches.len() == 1
    }

    pub(super) fn new(operands: Operands, threads: usize, tile: Tile) -> Self {
        let width = panel(operands.m, tile.lanes);
        let cost = operands.m * operands.n * operands.k / tile.lanes;
        let parts = tasks_for(cost, threads).min(operands.n.div_ceil(COLUMNS)).max(1);
        TurnedKernel { operands, width, parts }
    }

    /// Elements of the packed rows of one inner index.
    fn packed(&self) -> usize {
        self.operands.m.next_multiple_of(self.width)
    }
}

/// Elements of a row of the panels that some rows are packed into: panels of equal width.
fn panel(rows: usize, lanes: usize) -> usize {
    Blocks::new(rows.div_ceil(lanes).max(1)).widest() * lanes
}

impl CpuKernel for TurnedKernel {
    fn scratch(&self) -> ScratchNeed {
        let bytes = self.packed() * self.operands.k * size_of::<f32>();
        ScratchNeed { shared: bytes.next_multiple_of(ALIGNMENT), worker: 0 }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        [1, self.parts].get(job).copied()
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let Operands { m, n, k, c, .. } = self.operands;
        if job == 0 {
            return windows.add(context.shared_window(self.packed() * k * size_of::<f32>()));
        }
        let (from, to) = part(n, self.parts, turn.task, COLUMNS);
        windows.add(context.window(c, from, to - from).times(m, n));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; one task alone packs, and each column of the
        // result belongs to one.
        unsafe {
            match job {
                0 => context.level.run(PackRows { kernel: self, context }),
                _ => context.level.run(Part { kernel: self, context, task: turn.task }),
            }
        }
    }
}

/// Packs the left-hand side: a few kilobytes.
struct PackRows<'a> {
    kernel: &'a TurnedKernel,
    context: &'a Context<'a>,
}

impl Task for PackRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Operands { m, k, .. } = self.kernel.operands;
        let (a, _) = self.kernel.operands.matrices(self.context, 0);
        let out = self.context.shared_scratch().cast::<f32>();
        // SAFETY: the scratch memory has room for all panels.
        unsafe { pack::<S>(a, m, k, self.kernel.width, out) };
    }
}

/// Some columns of the result.
struct Part<'a> {
    kernel: &'a TurnedKernel,
    context: &'a Context<'a>,
    task: usize,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        let Operands { m, n, k, c, .. } = kernel.operands;
        let (_, b) = kernel.operands.matrices(self.context, 0);
        let packed = self.context.shared_scratch().cast::<f32>().cast_const();
        let mut block = MaybeUninit::<[f32; BLOCK]>::uninit();
        let (block, width) = (block.as_mut_ptr().cast::<f32>(), kernel.packed());
        let (from, to) = part(n, kernel.parts, self.task, COLUMNS);
        // SAFETY: the block has room for its columns; each of its rows is written whole
        // before it is read. The matrices have these rows and columns.
        unsafe {
            let c = self.context.floats(c);
            for first in (from..to).step_by(COLUMNS) {
                let count = COLUMNS.min(to - first);
                for panel in (0..width).step_by(kernel.width) {
                    let rows = packed.add(panel * k);
                    let right = Rows {
                        vectors: side_by_side(S::LANES).map(|v| rows.wrapping_add(v)),
                        channels: k,
                        plane: kernel.width,
                        taps: &[0],
                    };
                    for row in (0..count).step_by(S::ROWS) {
                        let left = b.from(0, first + row);
                        let left = Left { at: left.data, row: left.column, step: 1 };
                        let size = (S::ROWS.min(count - row), kernel.width / S::LANES);
                        // Columns side by side are no stream that the hardware would follow.
                        if panel == 0 {
                            for ahead in COLUMNS..(COLUMNS + size.0).min(to - first - row) {
                                let column = left.at.wrapping_add(ahead * left.row);
                                prefetch::<S>(column, k);
                            }
                        }
                        let columns = side_by_side(S::LANES);
                        let to = block.add(row * width + panel);
                        let out = Destination { to, row: width, columns, accumulate: false };
                        product::<S>(size, left, right, out);
                    }
                }
                for row in (0..m).step_by(S::LANES) {
                    let turned = (block.add(row).cast_const(), width);
                    let size = (count, S::LANES.min(m - row));
                    transpose::<S>(turned, size, (c.add(row * n + first), n));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Level;

    #[test]
    fn a_block_fits_its_memory_for_any_number_of_rows() {
        for lanes in Level::available().map(|level| level.tile().lanes) {
            for rows in 1..=FEW {
                let packed = rows.next_multiple_of(panel(rows, lanes));
                assert!(packed * COLUMNS <= BLOCK, "{rows} rows take {packed} lanes");
            }
        }
    }
}
