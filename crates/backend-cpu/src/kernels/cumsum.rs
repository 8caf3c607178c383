//! Running sums along an axis.

use onestep_engine::ops::CumSum;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::along::Around;
use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;
use crate::stores::elements;

/// A row is all of the axis at one place of the axes before it.
#[derive(Debug)]
struct Sums {
    x: Address,
    out: Address,
    around: Around,
    reverse: bool,
}

/// Lowers the op.
pub(super) fn lower(
    op: CumSum,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [x] = inputs else { return Err(broken("cumsum needs one operand")) };
    expect("cumsum", x, DType::F32)?;
    expect("cumsum", output, DType::F32)?;
    let around = Around::new("cumsum", x, op.axis)?;
    let (x, out) = (regions.address(x)?, regions.address(output)?);
    let work = Sums { x, out, around, reverse: op.reverse };
    Ok(Box::new(RowKernel::new(work, around.outer, 2 * around.size * around.inner, threads)))
}

impl RowWork for Sums {
    fn row(&self) -> (Address, usize) {
        (self.out, self.around.size * self.around.inner * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (x, out) = (context.floats(self.x), context.floats(self.out));
        let Around { size, inner, .. } = self.around;
        for row in from..to {
            // SAFETY: operand and result have `size * inner` elements in each row, and do not overlap.
            unsafe {
                let x = std::slice::from_raw_parts(x.add(row * size * inner), size * inner);
                let out = elements(out.add(row * size * inner), size * inner);
                for column in 0..inner {
                    // Wider than f32, or the last of many sums would have lost the small terms.
                    let mut sum = 0.0f64;
                    for step in 0..size {
                        let place = if self.reverse { size - 1 - step } else { step };
                        let at = place * inner + column;
                        sum += f64::from(x[at]);
                        out[at] = sum as f32;
                    }
                }
            }
        }
    }
}
