//! The steps forwards.

use onestep_engine::ops::{Cell, RecurrenceParts, RecurrenceSizes};

use super::cells::{gru, load, load_gates, lstm, save, save_gates};
use super::packed::Packed;
use super::{Packing, Problem, Scratch, roomy};
use crate::cpu_kernel::{Address, Context, CpuKernel, ScratchNeed};
use crate::pool::Turn;
use crate::simd::{Simd, Task, math};
use crate::stores::{Windows, copy, zeros};

/// A kernel of a recurrence.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) problem: Problem,
    pub(super) out: Address,
}

impl Forward {
    fn weight(&self) -> Packed {
        let sizes = self.problem.sizes;
        Packed { inner: sizes.out, columns: sizes.wide, turned: false }
    }

    fn projection(&self) -> Packed {
        let sizes = self.problem.sizes;
        let inner = if self.problem.op.projection { sizes.hidden } else { 0 };
        Packed { inner, columns: sizes.out, turned: false }
    }

    fn packing<'a>(&'a self, context: &'a Context<'a>, turn: Turn) -> Packing<'a> {
        let matrices = [self.weight(), self.projection()];
        Packing { problem: &self.problem, matrices, context, turn }
    }
}

impl CpuKernel for Forward {
    fn scratch(&self) -> ScratchNeed {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let row = roomy(sizes.out) + 2 * roomy(sizes.hidden) + problem.sums();
        problem.scratch([self.weight(), self.projection()], row, 4)
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        self.problem.tasks_of(job)
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        if job == 0 {
            return windows.add(context.shared_window(self.scratch().shared));
        }
        let parts = sizes.parts(&problem.op);
        let (from, to) = problem.samples(turn.task);
        let mut add = |at: usize, each: usize| {
            windows.add(context.window(self.out, at + from * each, (to - from) * each));
        };
        add(0, sizes.steps * sizes.out);
        add(parts.last, sizes.out);
        if parts.cell < parts.unprojected {
            add(parts.cell, sizes.hidden);
        }
        if parts.unprojected < parts.kept {
            add(parts.unprojected, sizes.steps * sizes.hidden);
        }
        add(parts.kept, sizes.steps * sizes.kept(&problem.op));
    }

    unsafe fn task(&self, job: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; panels and samples belong to one task each.
        unsafe {
            match job {
                0 => context.level.run(self.packing(context, turn)),
                _ => context.level.run(Samples { kernel: self, context, turn }),
            }
        }
    }
}

struct Samples<'a> {
    kernel: &'a Forward,
    context: &'a Context<'a>,
    turn: Turn,
}

/// What a worker has of its samples, each row with room for whole vectors.
#[derive(Clone, Copy)]
struct State {
    h: *mut f32,
    c: *mut f32,
    /// Sums of the gates.
    sums: *mut f32,
    /// What is projected.
    inner: *mut f32,
    out: *mut f32,
    parts: RecurrenceParts,
}

impl Task for Samples<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Samples { kernel, context, turn } = self;
        let (problem, sizes) = (&kernel.problem, kernel.problem.sizes);
        let (from, to) = problem.samples(turn.task);
        let rows = to - from;
        let ([hidden, out], wide) = ([sizes.hidden, sizes.out].map(roomy), problem.sums());
        let mut scratch = Scratch(context.worker_scratch(turn.worker).cast());
        let state = State {
            h: scratch.take(rows * out),
            c: scratch.take(rows * hidden),
            sums: scratch.take(rows * wide),
            inner: scratch.take(rows * hidden),
            out: context.floats(kernel.out),
            parts: sizes.parts(&problem.op),
        };
        let packed: *const f32 = context.shared_scratch().cast();
        let (weight, projection) = (kernel.weight(), kernel.projection());
        let projected = packed.wrapping_add(weight.elements());
        // SAFETY: the caller vouches for the context; the samples are this task's.
        unsafe {
            for r in 0..rows {
                let first = context.floats(problem.first).add((from + r) * sizes.out);
                copy(first, state.h.add(r * out), sizes.out);
                if let Some(cell) = problem.cell {
                    let cell = context.floats(cell).add((from + r) * sizes.hidden);
                    copy(cell, state.c.add(r * hidden), sizes.hidden);
                }
            }
            for turn in 0..sizes.steps {
                let step = problem.step(turn);
                for r in 0..rows {
                    kernel.begin::<S>(context, (from + r, step), state.sums.add(r * wide));
                }
                weight.multiply::<S>(packed, rows, (state.h, out), (state.sums, wide), true);
                for r in 0..rows {
                    kernel.cell::<S>(context, (from + r, step), r, state);
                }
                if problem.op.projection {
                    let to = (state.sums, wide);
                    projection.multiply::<S>(projected, rows, (state.inner, hidden), to, false);
                }
                for r in 0..rows {
                    kernel.output(context, (from + r, step), r, state);
                }
            }
            for r in 0..rows {
                let to = state.out.add(state.parts.last + (from + r) * sizes.out);
                copy(state.h.add(r * out), to, sizes.out);
                if problem.cell.is_some() {
                    let to = state.out.add(state.parts.cell + (from + r) * sizes.hidden);
                    copy(state.c.add(r * hidden), to, sizes.hidden);
                }
            }
        }
    }
}

impl Forward {
    /// What the recurrent products of a sample's step are added to.
    ///
    /// # Safety
    /// The machine has `S`, the context is that of the plan, and there is such a step.
    #[inline(always)]
    unsafe fn begin<S: Simd>(
        &self,
        context: &Context<'_>,
        (sample, step): (usize, usize),
        sums: *mut f32,
    ) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let RecurrenceSizes { hidden, wide, .. } = sizes;
        // The new gate of a GRU is summed apart from its input product.
        let whole = if problem.op.cell == Cell::Gru { 2 * hidden } else { wide };
        // SAFETY: the caller vouches for the step.
        unsafe {
            let x = context.floats(problem.x).add((sample * sizes.steps + step) * wide);
            let Some(bias) = problem.bias else {
                copy(x, sums, whole);
                return zeros(sums.add(whole), wide - whole);
            };
            let bias = context.floats(bias);
            for i in (0..whole).step_by(S::LANES) {
                let left = whole - i;
                let sum = S::add(load::<S>(x.add(i), left), load::<S>(bias.add(i), left));
                save::<S>(sums.add(i), sum, left);
            }
            copy(bias.add(wide), sums.add(whole), wide - whole);
        }
    }

    /// The cell of a sample's step: its new state, and what is kept of it.
    ///
    /// # Safety
    /// As of [`Self::begin`].
    #[inline(always)]
    unsafe fn cell<S: Simd>(
        &self,
        context: &Context<'_>,
        (sample, step): (usize, usize),
        r: usize,
        state: State,
    ) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let RecurrenceSizes { hidden, wide, .. } = sizes;
        let (at, kept) = (sample * sizes.steps + step, sizes.kept(&problem.op));
        // SAFETY: the caller vouches for the step.
        unsafe {
            let kept_at = state.out.add(state.parts.kept + at * kept);
            let inner = state.inner.add(r * roomy(hidden));
            if !problem.has(context, sample, step) {
                zeros(kept_at, kept);
                return zeros(inner, hidden);
            }
            let sums = state.sums.add(r * problem.sums());
            let old = state.h.add(r * roomy(sizes.out));
            let cell = state.c.add(r * roomy(hidden));
            let x = context.floats(problem.x).add(at * wide);
            for i in (0..hidden).step_by(S::LANES) {
                let left = hidden - i;
                let (sums, kept) = (sums.add(i), kept_at.add(i));
                let h = match problem.op.cell {
                    Cell::Tanh => math::tanh::<S>(load::<S>(sums, left)),
                    Cell::Relu => math::relu::<S>(load::<S>(sums, left)),
                    Cell::Lstm => {
                        let sums = load_gates::<S, 4>(sums, hidden, left);
                        let (gates, h) = lstm::<S>(sums, load::<S>(cell.add(i), left));
                        save_gates::<S, 5>(kept, gates, hidden, left);
                        save::<S>(cell.add(i), gates[4], left);
                        h
                    }
                    Cell::Gru => {
                        let [r, z, new] = load_gates::<S, 3>(sums, hidden, left);
                        let mut n = load::<S>(x.add(2 * hidden + i), left);
                        if let Some(bias) = problem.bias {
                            let bias = context.floats(bias).add(2 * hidden + i);
                            n = S::add(n, load::<S>(bias, left));
                        }
                        let old = load::<S>(old.add(i), left);
                        let ([r, z, n], h) = gru::<S>([r, z, n, new], old);
                        save_gates::<S, 4>(kept, [r, z, n, new], hidden, left);
                        h
                    }
                };
                save::<S>(inner.add(i), h, left);
            }
        }
    }

    /// The output of a sample's step, which is the next one's state.
    ///
    /// # Safety
    /// As of [`Self::begin`].
    #[inline(always)]
    unsafe fn output(
        &self,
        context: &Context<'_>,
        (sample, step): (usize, usize),
        r: usize,
        state: State,
    ) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let at = sample * sizes.steps + step;
        // SAFETY: the caller vouches for the step.
        unsafe {
            let inner = state.inner.add(r * roomy(sizes.hidden));
            let new = if problem.op.projection {
                let to = state.out.add(state.parts.unprojected + at * sizes.hidden);
                copy(inner, to, sizes.hidden);
                state.sums.add(r * problem.sums())
            } else {
                inner
            };
            let to = state.out.add(at * sizes.out);
            if !problem.has(context, sample, step) {
                return zeros(to, sizes.out);
            }
            copy(new, to, sizes.out);
            copy(new, state.h.add(r * roomy(sizes.out)), sizes.out);
        }
    }
}
