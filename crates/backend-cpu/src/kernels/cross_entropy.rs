//! Cross-entropy of logits against integer labels, and its gradient in the logits.

use onestep_engine::ops::ReduceKind;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork, affine, exponentials};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::{Simd, fold};
use crate::stores::{elements, put};

/// What both ops share: a row of logits for each label.
#[derive(Clone, Copy, Debug)]
struct Rows {
    logits: Address,
    labels: Address,
    classes: usize,
    smoothing: f32,
}

impl Rows {
    /// The row's logits, and its label where it is a class.
    ///
    /// # Safety
    /// The context is that of the op's plan, and there is such a row.
    #[inline(always)]
    unsafe fn row(&self, context: &Context<'_>, row: usize) -> (*const f32, Option<usize>) {
        // SAFETY: the caller vouches for the row.
        unsafe {
            let label = *context.at(self.labels).cast::<i32>().add(row);
            let class = usize::try_from(label).ok().filter(|&class| class < self.classes);
            (context.floats(self.logits).add(row * self.classes), class)
        }
    }
}

#[derive(Debug)]
struct Loss {
    rows: Rows,
    out: Address,
}

#[derive(Debug)]
struct Gradient {
    rows: Rows,
    dy: Address,
    out: Address,
}

fn rows(
    smoothing: f32,
    logits: &Place,
    labels: &Place,
    regions: Regions,
) -> Result<Rows, EngineError> {
    expect("cross_entropy", logits, DType::F32)?;
    expect("cross_entropy", labels, DType::I32)?;
    let classes = logits.shape.last().copied().unwrap_or(0);
    let (logits, labels) = (regions.address(logits)?, regions.address(labels)?);
    Ok(Rows { logits, labels, classes, smoothing })
}

/// Lowers the loss.
pub(super) fn lower(
    smoothing: f32,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [logits, labels] = inputs else {
        return Err(broken("cross_entropy needs two operands"));
    };
    expect("cross_entropy", output, DType::F32)?;
    let rows = rows(smoothing, logits, labels, regions)?;
    let work = Loss { rows, out: regions.address(output)? };
    Ok(Box::new(RowKernel::new(work, output.shape.elements(), 8 * rows.classes, threads)))
}

/// Lowers the gradient.
pub(super) fn lower_gradient(
    smoothing: f32,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [logits, labels, dy] = inputs else {
        return Err(broken("cross_entropy_grad needs three operands"));
    };
    expect("cross_entropy_grad", dy, DType::F32)?;
    expect("cross_entropy_grad", output, DType::F32)?;
    let rows = rows(smoothing, logits, labels, regions)?;
    let work = Gradient { rows, dy: regions.address(dy)?, out: regions.address(output)? };
    Ok(Box::new(RowKernel::new(work, dy.shape.elements(), 8 * rows.classes, threads)))
}

impl RowWork for Loss {
    fn row(&self) -> (Address, usize) {
        (self.out, size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let out = context.floats(self.out);
        let Rows { classes, smoothing, .. } = self.rows;
        for row in from..to {
            // SAFETY: the operands have the row.
            unsafe {
                let (x, class) = self.rows.row(context, row);
                let Some(class) = class else {
                    put(out.add(row), f32::NAN);
                    continue;
                };
                // In f64, as a difference of sums loses digits.
                let (max, sum) = exponentials::<S>(x, classes, None);
                let (max, log) = (f64::from(max), f64::from(sum).ln());
                let mut loss = log - (f64::from(*x.add(class)) - max);
                if smoothing > 0.0 {
                    let total = f64::from(fold::<S>(ReduceKind::Sum, x, classes));
                    let spread = log - (total / classes as f64 - max);
                    loss += f64::from(smoothing) * (spread - loss);
                }
                put(out.add(row), loss as f32);
            }
        }
    }
}

impl RowWork for Gradient {
    fn row(&self) -> (Address, usize) {
        (self.out, self.rows.classes * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let (dy, out) = (context.floats(self.dy), context.floats(self.out));
        let Rows { classes, smoothing, .. } = self.rows;
        for row in from..to {
            // SAFETY: the operands have the row.
            unsafe {
                let (x, class) = self.rows.row(context, row);
                let (dy, out) = (*dy.add(row), out.add(row * classes));
                let Some(class) = class else {
                    elements(out, classes).fill(f32::NAN);
                    continue;
                };
                let (_, sum) = exponentials::<S>(x, classes, Some(out));
                let spread = smoothing / classes as f32;
                affine::<S>(out, classes, (dy / sum, -spread * dy), out);
                let to = out.add(class);
                put(to, *to - (1.0 - smoothing) * dy);
            }
        }
    }
}
