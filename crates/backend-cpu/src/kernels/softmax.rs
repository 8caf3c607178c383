//! Softmax and log-softmax over the last axis.

use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork, affine, exponentials};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;

/// Softmax, or its logarithm, of rows.
#[derive(Debug)]
struct SoftmaxRows {
    x: Address,
    y: Address,
    width: usize,
    logarithm: bool,
}

/// Lowers softmax or, with `logarithm`, log-softmax.
pub(super) fn lower(
    logarithm: bool,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [x] = inputs else { return Err(broken("softmax needs one operand")) };
    for place in [x, output] {
        expect("softmax", place, DType::F32)?;
    }
    let width = output.shape.last().copied().unwrap_or(1).max(1);
    let rows = output.shape.elements() / width;
    let (x, y) = (regions.address(x)?, regions.address(output)?);
    let work = SoftmaxRows { x, y, width, logarithm };
    Ok(Box::new(RowKernel::new(work, rows, 8 * width, threads)))
}

impl RowWork for SoftmaxRows {
    fn row(&self) -> (Address, usize) {
        (self.y, self.width * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (x, y, width) = (context.floats(self.x), context.floats(self.y), self.width);
        for row in from..to {
            // SAFETY: both operands have the row.
            unsafe {
                let (x, y) = (x.add(row * width), y.add(row * width));
                if self.logarithm {
                    let (max, sum) = exponentials::<S>(x, width, None);
                    affine::<S>(x, width, (1.0, -max), y);
                    affine::<S>(y, width, (1.0, -sum.ln()), y);
                } else {
                    let (_, sum) = exponentials::<S>(x, width, Some(y));
                    affine::<S>(y, width, (1.0 / sum, 0.0), y);
                }
            }
        }
    }
}
