//! The order of the elements of rows.

use onestep_engine::ops::ArgSort;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;
use crate::stores::elements;

#[derive(Debug)]
struct Order {
    x: Address,
    out: Address,
    width: usize,
    op: ArgSort,
}

/// Lowers the op.
pub(super) fn lower(
    op: ArgSort,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [x] = inputs else { return Err(broken("argsort needs one operand")) };
    expect("argsort", x, DType::F32)?;
    expect("argsort", output, DType::I32)?;
    let width = x.shape.last().copied().unwrap_or(1);
    let rows = x.shape.elements().checked_div(width).unwrap_or(0);
    let work = Order { x: regions.address(x)?, out: regions.address(output)?, width, op };
    let halvings = width.max(2).ilog2() as usize;
    Ok(Box::new(RowKernel::new(work, rows, 4 * width * halvings, threads)))
}

impl RowWork for Order {
    fn row(&self) -> (Address, usize) {
        (self.out, self.width * size_of::<i32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let x = context.floats(self.x);
        let out = context.at(self.out).cast::<i32>();
        for row in from..to {
            // SAFETY: operand and result have `width` elements in each row, and do not overlap.
            let (x, places) = unsafe {
                let x = std::slice::from_raw_parts(x.add(row * self.width), self.width);
                (x, elements(out.add(row * self.width), self.width))
            };
            places.iter_mut().zip(0..).for_each(|(place, at)| *place = at);
            let key = |place: i32| (x[place as usize], place as usize);
            // No two are equal in this order, so that it is the stable one; it needs no memory.
            places.sort_unstable_by(|&a, &b| self.op.order(key(a), key(b)));
        }
    }
}
