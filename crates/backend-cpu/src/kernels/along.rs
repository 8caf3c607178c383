//! Elements along an axis by index, and added along an axis by index.

use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::Simd;
use crate::stores::{elements, zeros};

/// A tensor around one of its axes: `[outer, size, inner]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) outer: usize,
    pub(super) size: usize,
    pub(super) inner: usize,
}

impl Around {
    pub(super) fn new(op: &str, place: &Place, axis: usize) -> Result<Around, EngineError> {
        let dims = place.shape.dims();
        let Some(&size) = dims.get(axis) else {
            return Err(broken(format!("{op} has no axis {axis}")));
        };
        let (outer, inner) = (dims[..axis].iter().product(), dims[axis + 1..].iter().product());
        Ok(Around { outer, size, inner })
    }
}

/// A row is the result's elements at one place of the axis.
#[derive(Debug)]
struct GatherPlaces {
    x: Address,
    indices: Address,
    out: Address,
    from: Around,
    /// The axis' size in the result.
    size: usize,
}

/// A row is all of the axis at one place of the axes before it, so that the order of the sums does
/// not depend on the threads.
#[derive(Debug)]
struct ScatterPlaces {
    indices: Address,
    updates: Address,
    out: Address,
    from: Around,
    /// The axis' size in the result.
    size: usize,
}

/// Lowers `(x, indices) -> elements`.
pub(super) fn lower(
    axis: usize,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [x, indices] = inputs else { return Err(broken("gather_along needs two operands")) };
    expect("gather_along", x, DType::F32)?;
    expect("gather_along", indices, DType::I32)?;
    expect("gather_along", output, DType::F32)?;
    let from = Around::new("gather_along", x, axis)?;
    let to = Around::new("gather_along", output, axis)?;
    let work = GatherPlaces {
        x: regions.address(x)?,
        indices: regions.address(indices)?,
        out: regions.address(output)?,
        from,
        size: to.size,
    };
    Ok(Box::new(RowKernel::new(work, to.outer * to.size, 1 + to.inner, threads)))
}

/// Lowers `(indices, updates) -> sums`.
pub(super) fn lower_scatter(
    axis: usize,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [indices, updates] = inputs else {
        return Err(broken("scatter_along needs two operands"));
    };
    expect("scatter_along", indices, DType::I32)?;
    expect("scatter_along", updates, DType::F32)?;
    expect("scatter_along", output, DType::F32)?;
    let from = Around::new("scatter_along", updates, axis)?;
    let size = Around::new("scatter_along", output, axis)?.size;
    let work = ScatterPlaces {
        indices: regions.address(indices)?,
        updates: regions.address(updates)?,
        out: regions.address(output)?,
        from,
        size,
    };
    let cost = (size + 2 * from.size) * from.inner;
    Ok(Box::new(RowKernel::new(work, from.outer, cost, threads)))
}

impl RowWork for GatherPlaces {
    fn row(&self) -> (Address, usize) {
        (self.out, self.from.inner * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (x, out) = (context.floats(self.x), context.floats(self.out));
        let indices = context.at(self.indices).cast::<i32>();
        let Around { size, inner, .. } = self.from;
        for row in from..to {
            // SAFETY: the result and the indices have `inner` elements in each row, and `x` has
            // `size` times as many at each place before the axis; the index is checked.
            unsafe {
                let first = x.add(row / self.size * size * inner);
                let indices = std::slice::from_raw_parts(indices.add(row * inner), inner);
                let out = elements(out.add(row * inner), inner);
                for (at, (to, &index)) in out.iter_mut().zip(indices).enumerate() {
                    *to = match usize::try_from(index) {
                        Ok(index) if index < size => *first.add(index * inner + at),
                        _ => f32::NAN,
                    };
                }
            }
        }
    }
}

impl RowWork for ScatterPlaces {
    fn row(&self) -> (Address, usize) {
        (self.out, self.size * self.from.inner * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (updates, out) = (context.floats(self.updates), context.floats(self.out));
        let indices = context.at(self.indices).cast::<i32>();
        let Around { size: given, inner, .. } = self.from;
        for row in from..to {
            // SAFETY: the row has `size * inner` sums, and there are `given * inner` indices and
            // updates for it.
            unsafe {
                let count = self.size * inner;
                zeros(out.add(row * count), count);
                let sums = elements(out.add(row * count), count);
                let skipped = row * given * inner;
                for at in 0..given * inner {
                    let Ok(index) = usize::try_from(*indices.add(skipped + at)) else { continue };
                    if index < self.size {
                        sums[index * inner + at % inner] += *updates.add(skipped + at);
                    }
                }
            }
        }
    }
}
