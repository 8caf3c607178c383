//! Which rows of a table indices name, and a table with some rows replaced.

use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, ScratchNeed, broken, expect};
use crate::pool::Turn;
use crate::simd::Simd;
use crate::stores::{Window, Windows, copy, put};

const BITS: usize = u64::BITS as usize;

/// Marks the rows in a bit each, and counts the marks before each word of bits. So the distinct ones are found
/// in order without sorting, in time that the rows hardly matter for.
#[derive(Debug)]
struct Distinct {
    indices: Address,
    out: Address,
    count: usize,
    rows: usize,
}

impl Distinct {
    fn words(&self) -> usize {
        self.rows.div_ceil(BITS)
    }
}

/// Lowers `indices -> distinct ones, distinct ones, places`.
pub(super) fn lower_distinct(
    rows: usize,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [indices] = inputs else { return Err(broken("distinct_rows needs one operand")) };
    expect("distinct_rows", indices, DType::I32)?;
    expect("distinct_rows", output, DType::I32)?;
    let count = indices.shape.elements();
    let (indices, out) = (regions.address(indices)?, regions.address(output)?);
    Ok(Box::new(Distinct { indices, out, count, rows }))
}

impl CpuKernel for Distinct {
    fn scratch(&self) -> ScratchNeed {
        ScratchNeed { shared: 0, worker: self.words() * (size_of::<u64>() + size_of::<i32>()) }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        (job == 0).then_some(1)
    }

    fn windows(&self, _: usize, context: &Context<'_>, _: Turn, windows: &mut Windows) {
        windows.add(Window::run(context.at(self.out).cast::<i32>(), 3 * self.count));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        let words = self.words();
        let scratch = context.worker_scratch(turn.worker).cast::<u64>();
        // SAFETY: the scratch memory is as large as was asked for and aligned for any vector; the operand has
        // `count` indices and the result three times as many, and they do not overlap.
        unsafe {
            scratch.write_bytes(0, words);
            let marks = std::slice::from_raw_parts_mut(scratch, words);
            let before = scratch.add(words).cast::<i32>();
            let indices =
                std::slice::from_raw_parts(context.at(self.indices).cast::<i32>(), self.count);
            let inside = |index: i32| usize::try_from(index).ok().filter(|&row| row < self.rows);
            for row in indices.iter().filter_map(|&index| inside(index)) {
                marks[row / BITS] |= 1 << (row % BITS);
            }
            let read = context.at(self.out).cast::<i32>();
            let (write, place) = (read.add(self.count), read.add(2 * self.count));
            let mut found = 0;
            for (word, &mark) in marks.iter().enumerate() {
                before.add(word).write(found);
                let mut rest = mark;
                while rest != 0 {
                    let row = (word * BITS) as i32 + rest.trailing_zeros() as i32;
                    put(read.add(found as usize), row);
                    put(write.add(found as usize), row);
                    found += 1;
                    rest &= rest - 1;
                }
            }
            for at in found as usize..self.count {
                put(read.add(at), 0);
                put(write.add(at), -1);
            }
            for (at, &index) in indices.iter().enumerate() {
                let own = inside(index).map(|row| {
                    let lower = marks[row / BITS] & ((1 << (row % BITS)) - 1);
                    *before.add(row / BITS) + lower.count_ones() as i32
                });
                put(place.add(at), own.unwrap_or(-1));
            }
        }
    }
}

/// Each task owns some rows of the table and looks for their indices, so that of equal ones the last wins,
/// whatever the threads.
#[derive(Debug)]
struct Set {
    /// `None` where the result lies on the table.
    table: Option<Address>,
    indices: Address,
    updates: Address,
    out: Address,
    count: usize,
    width: usize,
}

/// Lowers `(table, indices, updates) -> table`.
pub(super) fn lower_set(
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [table, indices, updates] = inputs else {
        return Err(broken("set_rows needs three operands"));
    };
    for place in [table, updates, output] {
        expect("set_rows", place, DType::F32)?;
    }
    expect("set_rows", indices, DType::I32)?;
    let (rows, width) = match output.shape.split_first() {
        Some((&rows, row)) => (rows, row.iter().product()),
        None => (0, 0),
    };
    let (from, out) = (regions.address(table)?, regions.address(output)?);
    let count = indices.shape.elements();
    let table = (from != out).then_some(from);
    let (indices, updates) = (regions.address(indices)?, regions.address(updates)?);
    let moved = if table.is_some() { rows * width } else { 0 } + count * (width + threads);
    let work = Set { table, indices, updates, out, count, width };
    Ok(Box::new(RowKernel::new(work, rows, moved / rows.max(1) + 1, threads)))
}

impl RowWork for Set {
    fn row(&self) -> (Address, usize) {
        (self.out, self.width * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (updates, out) = (context.floats(self.updates), context.floats(self.out));
        let indices = context.at(self.indices).cast::<i32>();
        // SAFETY: the table has the rows `from..to`, which no other task touches; there is an update for each
        // index.
        unsafe {
            if let Some(table) = self.table {
                let first = from * self.width;
                let length = (to - from) * self.width;
                copy(context.floats(table).add(first), out.add(first), length);
            }
            for i in 0..self.count {
                let Ok(row) = usize::try_from(*indices.add(i)) else { continue };
                if row >= from && row < to {
                    copy(updates.add(i * self.width), out.add(row * self.width), self.width);
                }
            }
        }
    }
}
