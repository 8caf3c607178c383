//! Matrix products by packed panels (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008). The smaller operand is packed once by all workers; each task packs a
//! strip of the other and multiplies it with all of the first. Thin ones are computed without packing.

mod dot;

use std::mem::MaybeUninit;

use onestep_engine::ops::MatMul;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use self::dot::DotKernel;
use super::micro::{Destination, Left, Rows, TileBuffer, product};
use super::pack::{Matrix, pack};
use crate::native::{
    ALIGNMENT, Address, Context, Native, Regions, ScratchNeed, broken, expect, part, tasks_for,
    unsupported,
};
use crate::pool::{Pool, TaskPanicked, Turn};
use crate::simd::{Level, Simd, Task, Tile, VECTORS};

/// Inner indices that are multiplied before the sums go back to memory.
const INNER: usize = 384;
/// Elements of a strip: half of a second-level cache.
const STRIP: usize = 1 << 16;

/// What a product, or each of a batch of them, reads and writes: `c = a b` with `c` `m` x `n`.
#[derive(Debug)]
struct Operands {
    m: usize,
    n: usize,
    k: usize,
    a: Operand,
    b: Operand,
    c: Address,
    /// For each product, elements before its operands.
    batches: Vec<[usize; 2]>,
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
    (threads, level): (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    let operands = Operands::new(op, inputs, output, regions)?;
    if DotKernel::suits(&operands) {
        return Ok(Box::new(DotKernel::new(operands, threads, level.tile().lanes)));
    }
    Ok(Box::new(PackedKernel::new(operands, threads, level.tile())))
}

impl Operands {
    fn new(
        op: &MatMul,
        inputs: &[Place],
        output: &Place,
        regions: Regions,
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
        Ok(Operands {
            m: output.shape[rank - 2],
            n: output.shape[rank - 1],
            k: a.shape[if op.transpose_a { rank - 2 } else { rank - 1 }],
            a: operand(a, op.transpose_a)?,
            b: operand(b, op.transpose_b)?,
            c: regions.address(output)?,
            batches: batches(a, b, rank),
        })
    }

    /// The operands of one product.
    fn matrices(&self, context: &Context<'_>, batch: usize) -> (Matrix, Matrix) {
        let matrix = |o: Operand, before: usize| Matrix {
            data: context.floats(o.address).wrapping_add(before),
            row: o.row,
            column: o.column,
        };
        let [a, b] = self.batches[batch];
        (matrix(self.a, a), matrix(self.b, b))
    }
}

/// Which operand is packed first, for all tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    Left,
    Right,
}

/// Products by packed panels.
#[derive(Debug)]
struct PackedKernel {
    operands: Operands,
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

impl PackedKernel {
    fn new(operands: Operands, threads: usize, tile: Tile) -> Self {
        let k = operands.k;
        let mut kernel = PackedKernel {
            tile,
            shared: if operands.n >= operands.m { Shared::Left } else { Shared::Right },
            parts: 1,
            strip: 1,
            inner: k.div_ceil(k.div_ceil(INNER).max(1)).max(1),
            packers: 1,
            operands,
        };
        kernel.cut(threads);
        kernel
    }

    /// Chooses strips and tasks.
    fn cut(&mut self, threads: usize) {
        let cost =
            self.operands.batches.len() * self.operands.m * self.operands.n * self.operands.k
                / self.tile.lanes;
        let tasks = tasks_for(cost, threads);
        let (total, width) = match self.shared {
            Shared::Left => (self.operands.n, self.tile.columns()),
            Shared::Right => (self.operands.m, self.tile.rows),
        };
        self.parts =
            tasks.div_ceil(self.operands.batches.len().max(1)).min(total.div_ceil(width)).max(1);
        let widest = (STRIP / self.inner / width).max(1) * width;
        let share = total.div_ceil(self.parts).next_multiple_of(width);
        self.strip = widest.min(share);
        let packed = self.operands.batches.len() * self.shared_elements();
        self.packers = if tasks == 1 { 1 } else { tasks_for(packed * 4, threads) };
    }

    /// Rows of the packed operand's panels, the panels' width, and how many there are.
    fn panels(&self) -> (usize, usize, usize) {
        let (rows, width) = match self.shared {
            Shared::Left => (self.operands.m, self.tile.rows),
            Shared::Right => (self.operands.n, self.tile.columns()),
        };
        (rows, width, rows.div_ceil(width))
    }

    /// Elements of one product's packed operand.
    fn shared_elements(&self) -> usize {
        let (_, width, count) = self.panels();
        count * width * self.operands.k
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

impl Native for PackedKernel {
    fn scratch(&self) -> ScratchNeed {
        let shared = self.operands.batches.len() * self.shared_elements() * size_of::<f32>();
        ScratchNeed {
            shared: shared.next_multiple_of(ALIGNMENT),
            worker: (self.strip * self.inner * size_of::<f32>()).next_multiple_of(ALIGNMENT),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, pool: &mut Pool) -> Result<(), TaskPanicked> {
        let (_, _, panels) = self.panels();
        let total = self.operands.batches.len() * panels;
        if self.operands.m * self.operands.n * self.operands.batches.len() == 0 {
            return Ok(());
        }
        pool.run(self.packers, &|turn: Turn| {
            let (from, to) = part(total, self.packers, turn.task, 1);
            // SAFETY: the caller vouches for the context; each panel belongs to one task.
            unsafe { context.level.run(PackShared { kernel: self, context, from, to }) };
        })?;
        pool.run(self.operands.batches.len() * self.parts, &|turn: Turn| {
            // SAFETY: as above; each strip of the result belongs to one task.
            unsafe { context.level.run(Multiply { kernel: self, context, turn }) };
        })
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
        let (total, width) = match kernel.shared {
            Shared::Left => (kernel.operands.n, kernel.tile.columns()),
            Shared::Right => (kernel.operands.m, kernel.tile.rows),
        };
        let (from, to) = part(total, kernel.parts, index, width);
        let (a, b) = kernel.operands.matrices(self.context, batch);
        let strip_memory = self.context.worker_scratch(self.turn.worker).cast::<f32>();
        let mut first = from;
        while first < to {
            let count = kernel.strip.min(to - first);
            let mut k = 0;
            while k < kernel.operands.k || (kernel.operands.k == 0 && k == 0) {
                let inner = kernel.inner.min(kernel.operands.k - k);
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
            let c = self
                .context
                .floats(kernel.operands.c)
                .add(batch * kernel.operands.m * kernel.operands.n);
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
                    let to = c.add(row * kernel.operands.n + column);
                    let block = Block { left, right, inner, height, columns, accumulate: k > 0 };
                    block.multiply::<S>(to, kernel.operands.n);
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
        // A tile that ends within a vector goes to the matrix by way of a buffer.
        let mut buffer = MaybeUninit::<TileBuffer>::uninit();
        let direct = self.columns == vectors * lanes;
        let (from, width) = (buffer.as_mut_ptr().cast::<f32>(), VECTORS * lanes);
        let out = if direct {
            Destination { to, row, columns, accumulate: self.accumulate }
        } else {
            Destination { to: from, row: width, columns, accumulate: false }
        };
        // SAFETY: the caller vouches for the panels and the matrix; the product has written the
        // tile to the buffer when it is read.
        unsafe {
            product::<S>((self.height, vectors), Left::packed(self.left, S::ROWS), right, out);
            if direct {
                return;
            }
            for r in 0..self.height {
                for c in 0..self.columns {
                    let (to, x) = (to.add(r * row + c), *from.add(r * width + c));
                    *to = if self.accumulate { *to + x } else { x };
                }
            }
        }
    }
}
