//! Rows of a table by index, and rows added into a table by index.

use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;
use crate::stores::{copy, elements};

#[derive(Debug)]
struct GatherRows {
    table: Address,
    indices: Address,
    out: Address,
    rows: usize,
    width: usize,
}

/// Each task owns some rows of the table and looks for their indices, so that the order of the
/// sums does not depend on the threads.
#[derive(Debug)]
struct ScatterRows {
    indices: Address,
    updates: Address,
    out: Address,
    count: usize,
    width: usize,
}

/// The rows of a table and the elements of each.
fn layout(table: &Place) -> (usize, usize) {
    match table.shape.split_first() {
        Some((&rows, row)) => (rows, row.iter().product()),
        None => (0, 0),
    }
}

/// Lowers `(table, indices) -> rows`.
pub(super) fn lower(
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [table, indices] = inputs else { return Err(broken("gather needs two operands")) };
    expect("gather", table, DType::F32)?;
    expect("gather", indices, DType::I32)?;
    expect("gather", output, DType::F32)?;
    let (rows, width) = layout(table);
    let work = GatherRows {
        table: regions.address(table)?,
        indices: regions.address(indices)?,
        out: regions.address(output)?,
        rows,
        width,
    };
    Ok(Box::new(RowKernel::new(work, indices.shape.elements(), 1 + width, threads)))
}

/// Lowers `(indices, updates) -> table`.
pub(super) fn lower_scatter(
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [indices, updates] = inputs else {
        return Err(broken("scatter_add needs two operands"));
    };
    expect("scatter_add", indices, DType::I32)?;
    expect("scatter_add", updates, DType::F32)?;
    expect("scatter_add", output, DType::F32)?;
    let (rows, width) = layout(output);
    let count = indices.shape.elements();
    let work = ScatterRows {
        indices: regions.address(indices)?,
        updates: regions.address(updates)?,
        out: regions.address(output)?,
        count,
        width,
    };
    let cost = width + count * (width + 1) / rows.max(1);
    Ok(Box::new(RowKernel::new(work, rows, cost, threads)))
}

impl RowWork for GatherRows {
    fn row(&self) -> (Address, usize) {
        (self.out, self.width * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (table, out) = (context.floats(self.table), context.floats(self.out));
        let indices = context.at(self.indices).cast::<i32>();
        for i in from..to {
            // SAFETY: there is an index and a row of the result for each `i`; the index is checked.
            unsafe {
                let to = out.add(i * self.width);
                match usize::try_from(*indices.add(i)) {
                    Ok(row) if row < self.rows => {
                        let from = table.add(row * self.width);
                        copy(from, to, self.width);
                    }
                    _ => elements(to, self.width).fill(f32::NAN),
                }
            }
        }
    }
}

impl RowWork for ScatterRows {
    fn row(&self) -> (Address, usize) {
        (self.out, self.width * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (updates, out) = (context.floats(self.updates), context.floats(self.out));
        let indices = context.at(self.indices).cast::<i32>();
        // SAFETY: the table has the rows `from..to`, which no other task touches; there is an
        // update for each index.
        unsafe {
            let first = out.add(from * self.width);
            elements(first, (to - from) * self.width).fill(0.0);
            for i in 0..self.count {
                let Ok(row) = usize::try_from(*indices.add(i)) else { continue };
                if row < from || row >= to {
                    continue;
                }
                let row = elements(out.add(row * self.width), self.width);
                let update = std::slice::from_raw_parts(updates.add(i * self.width), self.width);
                row.iter_mut().zip(update).for_each(|(sum, x)| *sum += x);
            }
        }
    }
}
