//! Matrix products by packed panels (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008). The smaller operand is packed once by all workers; each task packs a
//! strip of the other and multiplies it with all of the first.

use onestep_engine::ops::MatMul;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::micro::{Destination, Left, Rows, TileBuffer, product};
use super::pack::{Matrix, pack};
use crate::native::{
    ALIGNMENT, Address, Context, Native, Regions, ScratchNeed, broken, expect, part, tasks_for,
    unsupported,
};
use crate::pool::{Pool, TaskPanicked, Turn};
use crate::simd::{Level, MAX_LANES, Simd, Task, Tile, VECTORS};

/// Inner indices that are multiplied before the sums go back to memory.
const INNER: usize = 384;
/// Elements of a strip: half of a second-level cache.
const STRIP: usize = 1 << 16;

/// Which operand is packed first, for all tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    Left,
    Right,
}

/// One product `c (+)= a b`, or a batch of them.
#[derive(Debug)]
struct MatMulKernel {
    m: usize,
    n: usize,
    k: usize,
    a: Operand,
    b: Operand,
    c: Address,
    /// For each product, elements before its operands.
    batches: Vec<[usize; 2]>,
    tile: Tile,
    shared: Shared,
    /// Tasks for each product, each one strip after the other.
    parts: usize,
    /// Rows (or columns) of a strip: whole panels.
    strip: usize,
    inner: usize,
    /// Tasks for packing.
    packers: usize,
}

#[derive(Clone, Copy, Debug)]
struct Operand {
    address: Address,
    row: usize,
    column: usize,
}

/// Lowers the op.
pub(super) fn lower(
    op: &MatMul,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    Ok(Box::new(MatMulKernel::new(op, inputs, output, regions, machine)?))
}

impl MatMulKernel {
    fn new(
        op: &MatMul,
        inputs: &[Place],
        output: &Place,
        regions: Regions,
        (threads, level): (usize, Level),
    ) -> Result<Self, EngineError> {
        let [a, b] = inputs else { return Err(broken("matmul needs two operands")) };
        let rank = output.shape.rank();
        if rank < 2 || a.shape.rank() != rank || b.shape.rank() != rank {
            return Err(broken("the operands of matmul have different ranks"));
        }
        for place in inputs {
            if place.dtype != DType::F32 {
                let reason = format!("products are computed in f32, got {}", place.dtype);
                return Err(unsupported("matmul", reason));
            }
        }
        expect("matmul", output, DType::F32)?;
        let operand = |place: &Place, transpose: bool| -> Result<Operand, EngineError> {
            let (row, column) = (place.strides[rank - 2], place.strides[rank - 1]);
            let (row, column) = if transpose { (column, row) } else { (row, column) };
            Ok(Operand { address: regions.address(place)?, row, column })
        };
        let (m, n) = (output.shape[rank - 2], output.shape[rank - 1]);
        let k = a.shape[if op.transpose_a { rank - 2 } else { rank - 1 }];
        let tile = level.tile();
        let mut kernel = MatMulKernel {
            m,
            n,
            k,
            a: operand(a, op.transpose_a)?,
            b: operand(b, op.transpose_b)?,
            c: regions.address(output)?,
            batches: batches(a, b, rank),
            tile,
            shared: if n >= m { Shared::Left } else { Shared::Right },
            parts: 1,
            strip: 1,
            inner: k.div_ceil(k.div_ceil(INNER).max(1)).max(1),
            packers: 1,
        };
        kernel.cut(threads);
        Ok(kernel)
    }

    /// Chooses strips and tasks.
    fn cut(&mut self, threads: usize) {
        let cost = self.batches.len() * self.m * self.n * self.k / self.tile.lanes;
        let tasks = tasks_for(cost, threads);
        let (total, width) = match self.shared {
            Shared::Left => (self.n, self.tile.columns()),
            Shared::Right => (self.m, self.tile.rows),
        };
        self.parts = tasks.div_ceil(self.batches.len().max(1)).min(total.div_ceil(width)).max(1);
        let widest = (STRIP / self.inner / width).max(1) * width;
        let share = total.div_ceil(self.parts).next_multiple_of(width);
        self.strip = widest.min(share);
        let packed = self.batches.len() * self.shared_elements();
        self.packers = if tasks == 1 { 1 } else { tasks_for(packed * 4, threads) };
    }

    /// Rows of the packed operand's panels, the panels' width, and how many there are.
    fn panels(&self) -> (usize, usize, usize) {
        let (rows, width) = match self.shared {
            Shared::Left => (self.m, self.tile.rows),
            Shared::Right => (self.n, self.tile.columns()),
        };
        (rows, width, rows.div_ceil(width))
    }

    /// Elements of one product's packed operand.
    fn shared_elements(&self) -> usize {
        let (_, width, count) = self.panels();
        count * width * self.k
    }

    fn operands(&self, context: &Context<'_>, batch: usize) -> (Matrix, Matrix) {
        let matrix = |o: Operand, before: usize| Matrix {
            data: context.floats(o.address).wrapping_add(before),
            row: o.row,
            column: o.column,
        };
        let [a, b] = self.batches[batch];
        (matrix(self.a, a), matrix(self.b, b))
    }
}

/// Elements before the operands of each product of a batch.
fn batches(a: &Place, b: &Place, rank: usize) -> Vec<[usize; 2]> {
    let dims = &a.shape.dims()[..rank - 2];
    let offset = |place: &Place, mut i: usize| {
        (0..dims.len()).rev().fold(0, |offset, axis| {
            let at = i % dims[axis];
            i /= dims[axis];
            offset + at * place.strides[axis]
        })
    };
    (0..dims.iter().product()).map(|i| [offset(a, i), offset(b, i)]).collect()
}

impl Native for MatMulKernel {
    fn scratch(&self) -> ScratchNeed {
        let shared = self.batches.len() * self.shared_elements() * size_of::<f32>();
        ScratchNeed {
            shared: shared.next_multiple_of(ALIGNMENT),
            worker: (self.strip * self.inner * size_of::<f32>()).next_multiple_of(ALIGNMENT),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, pool: &mut Pool) -> Result<(), TaskPanicked> {
        let (_, _, panels) = self.panels();
        let total = self.batches.len() * panels;
        if self.m * self.n * self.batches.len() == 0 {
            return Ok(());
        }
        pool.run(self.packers, &|turn: Turn| {
            let (from, to) = part(total, self.packers, turn.task, 1);
            // SAFETY: the caller vouches for the context; each panel belongs to one task.
            unsafe { context.level.run(PackShared { kernel: self, context, from, to }) };
        })?;
        pool.run(self.batches.len() * self.parts, &|turn: Turn| {
            // SAFETY: as above; each strip of the result belongs to one task.
            unsafe { context.level.run(Multiply { kernel: self, context, turn }) };
        })
    }
}

/// Packs panels `from..to` of all products' shared operands, whole in the inner index.
struct PackShared<'a> {
    kernel: &'a MatMulKernel,
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
            let (a, b) = kernel.operands(self.context, batch);
            let matrix = if kernel.shared == Shared::Left { a } else { b.transposed() };
            let first = panel * width;
            // SAFETY: the scratch memory has a place for each panel.
            unsafe {
                let out = scratch.add(index * width * kernel.k);
                let rows = (count * width).min(rows - first);
                pack::<S>(matrix.from(first, 0), rows, kernel.k, width, out);
            }
            index += count;
        }
    }
}

/// Multiplies one part of one product, strip by strip.
struct Multiply<'a> {
    kernel: &'a MatMulKernel,
    context: &'a Context<'a>,
    turn: Turn,
}

impl Task for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let kernel = self.kernel;
        let (batch, index) = (self.turn.task / kernel.parts, self.turn.task % kernel.parts);
        let (total, width) = match kernel.shared {
            Shared::Left => (kernel.n, kernel.tile.columns()),
            Shared::Right => (kernel.m, kernel.tile.rows),
        };
        let (from, to) = part(total, kernel.parts, index, width);
        let (a, b) = kernel.operands(self.context, batch);
        let strip_memory = self.context.worker_scratch(self.turn.worker).cast::<f32>();
        let mut first = from;
        while first < to {
            let count = kernel.strip.min(to - first);
            let mut k = 0;
            while k < kernel.k || (kernel.k == 0 && k == 0) {
                let inner = kernel.inner.min(kernel.k - k);
                // SAFETY: the strip fits the worker's scratch memory.
                unsafe {
                    let matrix = match kernel.shared {
                        Shared::Left => b.from(k, first).transposed(),
                        Shared::Right => a.from(first, k),
                    };
                    pack::<S>(matrix, count, inner, width, strip_memory);
                    self.strip::<S>(batch, (first, count), (k, inner), strip_memory);
                }
                k += kernel.inner;
            }
            first += count;
        }
    }
}

impl Multiply<'_> {
    /// Multiplies a packed strip with all panels of the shared operand.
    #[inline(always)]
    unsafe fn strip<S: Simd>(
        &self,
        batch: usize,
        (first, count): (usize, usize),
        (k, inner): (usize, usize),
        strip: *const f32,
    ) {
        let kernel = self.kernel;
        let (rows, width, panels) = kernel.panels();
        let (strip_width, by_strip) = match kernel.shared {
            Shared::Left => (kernel.tile.columns(), true),
            Shared::Right => (kernel.tile.rows, false),
        };
        // SAFETY: both operands are packed; the result has `m` rows of `n`.
        unsafe {
            let shared = self.context.shared_scratch().cast::<f32>();
            let shared = shared.add(batch * kernel.shared_elements());
            let c = self.context.floats(kernel.c).add(batch * kernel.m * kernel.n);
            for panel in 0..panels {
                let packed = shared.add((panel * kernel.k + k) * width);
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
                    let to = c.add(row * kernel.n + column);
                    let block = Block { left, right, inner, height, columns, accumulate: k > 0 };
                    block.multiply::<S>(to, kernel.n);
                    at += strip_width;
                }
            }
        }
    }
}

/// One tile of a product of packed panels.
#[derive(Clone, Copy)]
struct Block {
    left: *const f32,
    right: *const f32,
    inner: usize,
    height: usize,
    columns: usize,
    accumulate: bool,
}

impl Block {
    /// Writes the tile to a matrix whose rows are `row` elements apart.
    ///
    /// # Safety
    /// The panels are packed for `S`, and the matrix has `height` rows and `columns` columns.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(self, to: *mut f32, row: usize) {
        let lanes = S::LANES;
        let vectors = self.columns.div_ceil(lanes);
        let columns = [0, lanes, 2 * lanes];
        let right = Rows {
            vectors: columns.map(|c| self.right.wrapping_add(c)),
            channels: self.inner,
            plane: VECTORS * lanes,
            taps: &[0],
        };
        // SAFETY: the caller vouches for the panels and the matrix.
        unsafe {
            if self.columns == vectors * lanes {
                let out = Destination { to, row, columns, accumulate: self.accumulate };
                product::<S>((self.height, vectors), Left::packed(self.left, S::ROWS), right, out);
                return;
            }
            let mut buffer: TileBuffer = [0.0; super::micro::MAX_ROWS * VECTORS * MAX_LANES];
            let width = VECTORS * lanes;
            let from = buffer.as_mut_ptr();
            let out = Destination { to: from, row: width, columns, accumulate: false };
            product::<S>((self.height, vectors), Left::packed(self.left, S::ROWS), right, out);
            for r in 0..self.height {
                for c in 0..self.columns {
                    let (to, x) = (to.add(r * row + c), *from.add(r * width + c));
                    *to = if self.accumulate { *to + x } else { x };
                }
            }
        }
    }
}
