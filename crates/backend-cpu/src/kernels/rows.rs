//! Work on independent rows, a range of them for each task.

use onestep_engine::ops::ReduceKind;

use crate::cpu_kernel::{Address, Context, CpuKernel, ScratchNeed, part, tasks_for};
use crate::pool::Turn;
use crate::simd::{Simd, Task, fold, math};
use crate::stores::{Window, Windows};

/// What is done to each row.
pub(super) trait RowWork: Send + Sync {
    /// Where the results of all rows begin, and the bytes of those of one.
    fn row(&self) -> (Address, usize);

    /// Does it to rows `from..to`.
    ///
    /// # Safety
    /// The machine has `S`, the context is that of the op's plan, and no other thread writes these
    /// rows.
    unsafe fn rows<S: Simd>(&self, context: &Context<'_>, from: usize, to: usize);
}

/// A kernel of independent rows.
#[derive(Debug)]
pub(super) struct RowKernel<W> {
    work: W,
    rows: usize,
    tasks: usize,
}

impl<W: RowWork> RowKernel<W> {
    /// `cost` is the work for one row, in simple operations on single elements.
    pub(super) fn new(work: W, rows: usize, cost: usize, threads: usize) -> Self {
        let tasks = tasks_for(rows.saturating_mul(cost), threads).min(rows.max(1));
        RowKernel { work, rows, tasks }
    }
}

struct Range<'a, W> {
    work: &'a W,
    context: &'a Context<'a>,
    range: (usize, usize),
}

impl<W: RowWork> Task for Range<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller vouches for the context and the level.
        unsafe { self.work.rows::<S>(self.context, self.range.0, self.range.1) };
    }
}

impl<W: RowWork> CpuKernel for RowKernel<W> {
    fn scratch(&self) -> ScratchNeed {
        ScratchNeed::default()
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        (job == 0).then_some(self.tasks)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let (from, to) = part(self.rows, self.tasks, turn.task, 1);
        let (address, bytes) = self.work.row();
        let first = context.at(address).wrapping_add(from * bytes);
        windows.add(Window::run(first, (to - from) * bytes));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        let range = part(self.rows, self.tasks, turn.task, 1);
        // SAFETY: each row belongs to one task; the caller vouches for the context.
        unsafe { context.level.run(Range { work: &self.work, context, range }) };
    }
}

/// The largest element `m` of a row, and the sum of `e^(x - m)`. The terms go to `terms`, if given.
///
/// # Safety
/// The machine has `S`; the row and the terms have `width` elements.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(
    row: *const f32,
    width: usize,
    terms: Option<*mut f32>,
) -> (f32, f32) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let max = fold::<S>(ReduceKind::Max, row, width);
        let (shift, mut sums) = (S::splat(max), S::splat(0.0));
        let mut i = 0;
        while i + S::LANES <= width {
            let term = math::exp::<S>(S::sub(S::load(row.add(i)), shift));
            sums = S::add(sums, term);
            if let Some(terms) = terms {
                S::store(terms.add(i), term);
            }
            i += S::LANES;
        }
        if i < width {
            // What is behind the row adds nothing: e^-inf = 0.
            let count = width - i;
            let x = S::load_lanes(row.add(i), count, S::splat(f32::NEG_INFINITY));
            let term = math::exp::<S>(S::sub(x, shift));
            sums = S::add(sums, term);
            if let Some(terms) = terms {
                S::store_lanes(terms.add(i), term, 0, count);
            }
        }
        (max, S::sum(sums))
    }
}

/// `out = row * factor + term`
///
/// # Safety
/// The machine has `S`; both have `width` elements, and `out` may lie exactly on `row`.
#[inline(always)]
pub(super) unsafe fn affine<S: Simd>(
    row: *const f32,
    width: usize,
    (factor, term): (f32, f32),
    out: *mut f32,
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let (f, t) = (S::splat(factor), S::splat(term));
        let mut i = 0;
        while i + S::LANES <= width {
            S::store(out.add(i), S::fma(S::load(row.add(i)), f, t));
            i += S::LANES;
        }
        if i < width {
            let x = S::load_lanes(row.add(i), width - i, S::splat(0.0));
            S::store_lanes(out.add(i), S::fma(x, f, t), 0, width - i);
        }
    }
}
