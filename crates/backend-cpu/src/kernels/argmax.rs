//! The index of the first largest element along an axis.

use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;
use crate::stores::put;

#[derive(Debug)]
struct ArgMaxRows {
    x: Address,
    out: Address,
    /// The axis' size.
    count: usize,
    /// Elements from one to the next along the axis.
    stride: usize,
}

/// Lowers the op.
pub(super) fn lower(
    axis: usize,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [x] = inputs else { return Err(broken("argmax needs one operand")) };
    expect("argmax", x, DType::F32)?;
    expect("argmax", output, DType::I32)?;
    let Some(&count) = x.shape.get(axis) else { return Err(broken("argmax has no such axis")) };
    let stride = x.shape[axis + 1..].iter().product();
    let work = ArgMaxRows { x: regions.address(x)?, out: regions.address(output)?, count, stride };
    Ok(Box::new(RowKernel::new(work, output.shape.elements(), 2 * count, threads)))
}

impl RowWork for ArgMaxRows {
    fn row(&self) -> (Address, usize) {
        (self.out, size_of::<i32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let x = context.floats(self.x);
        let out = context.at(self.out).cast::<i32>();
        for i in from..to {
            // SAFETY: `i` counts the result's elements, each of which has `count` elements.
            unsafe {
                let first = x.add(i / self.stride * self.count * self.stride + i % self.stride);
                let (mut best, mut largest) = (0, f32::NEG_INFINITY);
                for at in 0..self.count {
                    let x = *first.add(at * self.stride);
                    // Comparison with NaN is false, so NaN never wins.
                    if x > largest {
                        (best, largest) = (at, x);
                    }
                }
                put(out.add(i), best as i32);
            }
        }
    }
}
