//! Pooling windows over pictures and their gradients: one task for some planes `[h, w]`.

mod pairs;

use onestep_engine::ops::{PoolWindow, ReduceKind};
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use super::rows::{RowKernel, RowWork};
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::{Simd, fold};
use crate::stores::elements;

/// Which of the four ops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    Max,
    MaxGrad,
    Sum,
    SumGrad,
}

/// The sizes of a plane before and after pooling, and the window.
#[derive(Clone, Copy, Debug)]
struct Planes {
    window: PoolWindow,
    input: [usize; 2],
    output: [usize; 2],
}

#[derive(Debug)]
struct PoolingPlanes {
    pooling: Pooling,
    planes: Planes,
    /// The picture, but for the gradient of the sum, which does not need it.
    x: Option<Address>,
    /// The gradient of the result, for the two gradients.
    dy: Option<Address>,
    out: Address,
}

/// Lowers one of the four ops.
pub(super) fn lower(
    pooling: Pooling,
    window: PoolWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    threads: usize,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    for place in inputs.iter().chain([output]) {
        expect("pooling", place, DType::F32)?;
        if place.shape.rank() != 4 {
            return Err(broken("pooling needs pictures"));
        }
    }
    let (x, dy, large, small) = match (pooling, inputs) {
        (Pooling::Max | Pooling::Sum, [x]) => (Some(x), None, x, output),
        (Pooling::MaxGrad, [x, dy]) => (Some(x), Some(dy), x, dy),
        (Pooling::SumGrad, [dy]) => (None, Some(dy), output, dy),
        _ => return Err(broken("pooling has another number of operands")),
    };
    let sizes = |place: &Place| [place.shape[2], place.shape[3]];
    let address = |place: Option<&Place>| place.map(|p| regions.address(p)).transpose();
    let planes = Planes { window, input: sizes(large), output: sizes(small) };
    let work = PoolingPlanes {
        pooling,
        planes,
        x: address(x)?,
        dy: address(dy)?,
        out: regions.address(output)?,
    };
    let taps: usize = window.size.iter().product();
    let cost =
        2 * taps * planes.output.iter().product::<usize>() + planes.input[0] * planes.input[1];
    let count = large.shape[0] * large.shape[1];
    Ok(Box::new(RowKernel::new(work, count, cost, threads)))
}

impl RowWork for PoolingPlanes {
    fn row(&self) -> (Address, usize) {
        let of_plane = if self.dy.is_none() { self.planes.output } else { self.planes.input };
        (self.out, of_plane.iter().product::<usize>() * size_of::<f32>())
    }

    #[inline(always)]
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize) {
        let large: usize = self.planes.input.iter().product();
        let small: usize = self.planes.output.iter().product();
        let operand = |address: Option<Address>| address.map(|a| context.floats(a).cast_const());
        let (x, dy, out) = (operand(self.x), operand(self.dy), context.floats(self.out));
        for plane in from..to {
            // SAFETY: all operands have the plane, and no other task writes it.
            unsafe {
                let part = |data: Option<*const f32>, size: usize| match data {
                    Some(data) => std::slice::from_raw_parts(data.add(plane * size), size),
                    None => &[],
                };
                let (x, dy) = (part(x, large), part(dy, small));
                let size = if self.dy.is_none() { small } else { large };
                let out = elements(out.add(plane * size), size);
                match self.pooling {
                    Pooling::Max => self.planes.pool::<S, true>(x, out),
                    Pooling::Sum => self.planes.pool::<S, false>(x, out),
                    Pooling::MaxGrad => self.planes.max_gradient::<S>(x, dy, out),
                    Pooling::SumGrad => self.planes.sum_gradient(dy, out),
                }
            }
        }
    }
}

/// Outputs of a row that are looked at together when a gradient seeks its winners.
const SPAN: usize = 64;

impl Planes {
    /// The input row of an output row and a window row, where it is inside.
    #[inline(always)]
    fn input_row(&self, py: usize, qy: usize) -> Option<usize> {
        let w = &self.window;
        let row = (py * w.stride[0] + qy * w.dilation[0]).checked_sub(w.pad_low[0])?;
        (row < self.input[0]).then_some(row)
    }

    /// The outputs of a row whose element `qx` of the window is inside, and the input column of
    /// the first of them.
    #[inline(always)]
    fn columns(&self, qx: usize) -> (usize, usize, usize) {
        let w = &self.window;
        let (stride, before) = (w.stride[1], qx * w.dilation[1]);
        let first = w.pad_low[1].saturating_sub(before).div_ceil(stride);
        // The last output with px * stride + before < pad + width.
        let end = (w.pad_low[1] + self.input[1]).saturating_sub(before).div_ceil(stride);
        let end = end.min(self.output[1]);
        if first >= end {
            return (0, 0, 0);
        }
        (first, end, first * stride + before - w.pad_low[1])
    }

    /// Largest elements or sums of all windows.
    #[inline(always)]
    unsafe fn pool<S: Simd, const MAX: bool>(&self, x: &[f32], y: &mut [f32]) {
        if self.is_halving() {
            return self.pool_pairs::<MAX>(x, y);
        }
        let wide = self.window.size[1] > self.output[1] && self.window.dilation[1] == 1;
        for (py, y) in y.chunks_exact_mut(self.output[1].max(1)).enumerate() {
            y.fill(if MAX { f32::NEG_INFINITY } else { 0.0 });
            for qy in 0..self.window.size[0] {
                let Some(row) = self.input_row(py, qy) else { continue };
                let x = &x[row * self.input[1]..(row + 1) * self.input[1]];
                if wide {
                    // SAFETY: the caller vouches for the level.
                    unsafe { self.pool_wide::<S, MAX>(x, y) };
                } else {
                    self.pool_narrow::<MAX>(x, y);
                }
            }
        }
    }

    /// Few windows, each many elements wide: element by element of a window.
    #[inline(always)]
    unsafe fn pool_wide<S: Simd, const MAX: bool>(&self, x: &[f32], y: &mut [f32]) {
        let w = &self.window;
        for (px, y) in y.iter_mut().enumerate() {
            let from = (px * w.stride[1]).saturating_sub(w.pad_low[1]).min(x.len());
            let to = (px * w.stride[1] + w.size[1]).saturating_sub(w.pad_low[1]).min(x.len());
            let part = &x[from..to.max(from)];
            let kind = if MAX { ReduceKind::Max } else { ReduceKind::Sum };
            // SAFETY: the elements are a slice; the caller vouches for the level.
            let folded = unsafe { fold::<S>(kind, part.as_ptr(), part.len()) };
            *y = if MAX { larger(*y, folded) } else { *y + folded };
        }
    }

    /// Many windows: one element of each at a time.
    #[inline(always)]
    fn pool_narrow<const MAX: bool>(&self, x: &[f32], y: &mut [f32]) {
        for qx in 0..self.window.size[1] {
            let (from, to, column) = self.columns(qx);
            let (y, x) = (&mut y[from..to], &x[column..]);
            let combine = |y: &mut f32, x: f32| *y = if MAX { larger(*y, x) } else { *y + x };
            match self.window.stride[1] {
                1 => y.iter_mut().zip(x).for_each(|(y, &x)| combine(y, x)),
                2 => {
                    // In pairs, so that compilers see the pattern; the last may lack its second.
                    let mut pairs = x.chunks_exact(2);
                    let count = pairs.len().min(y.len());
                    let (whole, rest) = y.split_at_mut(count);
                    whole.iter_mut().zip(&mut pairs).for_each(|(y, x)| combine(y, x[0]));
                    rest.iter_mut().zip(pairs.remainder()).for_each(|(y, &x)| combine(y, x));
                }
                stride => {
                    y.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, &x)| combine(y, x));
                }
            }
        }
    }

    /// Each window's gradient goes to its first largest element.
    #[inline(always)]
    unsafe fn max_gradient<S: Simd>(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        // SAFETY: the caller vouches for the level.
        if self.is_halving() && unsafe { self.max_gradient_pairs::<S>(x, dy, dx) } {
            return;
        }
        dx.fill(0.0);
        for (py, dy) in dy.chunks_exact(self.output[1].max(1)).enumerate() {
            self.max_gradient_row(x, py, dy, dx);
        }
    }

    /// Adds a row of gradients to the winners of its windows.
    #[inline(always)]
    fn max_gradient_row(&self, x: &[f32], py: usize, dy: &[f32], dx: &mut [f32]) {
        let mut start = 0;
        while start < dy.len() {
            let count = SPAN.min(dy.len() - start);
            let mut best = [f32::NEG_INFINITY; SPAN];
            let mut winner = [u32::MAX; SPAN];
            self.winners(x, py, (start, count), &mut best, &mut winner);
            for (&at, &g) in winner[..count].iter().zip(&dy[start..start + count]) {
                if let Some(slot) = dx.get_mut(at as usize) {
                    *slot += g;
                }
            }
            start += count;
        }
    }

    /// Where the first largest elements of a stretch of windows lie.
    #[inline(always)]
    fn winners(
        &self,
        x: &[f32],
        py: usize,
        (start, count): (usize, usize),
        best: &mut [f32; SPAN],
        winner: &mut [u32; SPAN],
    ) {
        let stride = self.window.stride[1];
        for qy in 0..self.window.size[0] {
            let Some(row) = self.input_row(py, qy) else { continue };
            for qx in 0..self.window.size[1] {
                let (from, to, column) = self.columns(qx);
                let (first, end) = (from.max(start), to.min(start + count));
                for px in first..end.max(first) {
                    let at = row * self.input[1] + column + (px - from) * stride;
                    let (x, slot) = (x[at], px - start);
                    if winner[slot] == u32::MAX || x > best[slot] || x.is_nan() {
                        best[slot] = x;
                        winner[slot] = at as u32;
                    }
                }
            }
        }
    }

    /// Each element gets the gradients of all windows it lies in.
    #[inline(always)]
    fn sum_gradient(&self, dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        let stride = self.window.stride[1];
        for (py, dy) in dy.chunks_exact(self.output[1].max(1)).enumerate() {
            for qy in 0..self.window.size[0] {
                let Some(row) = self.input_row(py, qy) else { continue };
                let dx = &mut dx[row * self.input[1]..(row + 1) * self.input[1]];
                for qx in 0..self.window.size[1] {
                    let (from, to, column) = self.columns(qx);
                    let targets = dx[column..].iter_mut().step_by(stride);
                    targets.zip(&dy[from..to]).for_each(|(dx, dy)| *dx += dy);
                }
            }
        }
    }
}

/// The larger number, NaN where either is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}
