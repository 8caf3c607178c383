//! The steps back.

use onestep_engine::ops::{Cell, RecurrenceGradParts, RecurrenceParts, RecurrenceSizes};

use super::cells::{gru_back, load, load_gates, lstm_back, save, save_gates, slope_of_tanh};
use super::packed::Packed;
use super::{Packing, Problem, Scratch, roomy};
use crate::cpu_kernel::{Address, Context, CpuKernel, ScratchNeed};
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::{Windows, copy, zeros};

/// A kernel of the gradient.
#[derive(Debug)]
pub(super) struct Backward {
    pub(super) problem: Problem,
    pub(super) y: Address,
    pub(super) dy: Address,
    pub(super) out: Address,
}

impl Backward {
    fn weight(&self) -> Packed {
        let sizes = self.problem.sizes;
        Packed { inner: sizes.wide, columns: sizes.out, turned: true }
    }

    fn projection(&self) -> Packed {
        let sizes = self.problem.sizes;
        let inner = if self.problem.op.projection { sizes.out } else { 0 };
        Packed { inner, columns: sizes.hidden, turned: true }
    }

    fn packing<'a>(&'a self, context: &'a Context<'a>, turn: Turn) -> Packing<'a> {
        let matrices = [self.weight(), self.projection()];
        Packing { problem: &self.problem, matrices, context, turn }
    }
}

impl CpuKernel for Backward {
    fn scratch(&self) -> ScratchNeed {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let row = 2 * roomy(sizes.out) + 2 * roomy(sizes.hidden) + roomy(sizes.wide);
        problem.scratch([self.weight(), self.projection()], row, 5)
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        self.problem.tasks_of(job)
    }

    fn windows(&self, job: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        if job == 0 {
            return windows.add(context.shared_window(self.scratch().shared));
        }
        let parts = sizes.grad_parts(&problem.op);
        let (from, to) = problem.samples(turn.task);
        let mut add = |at: usize, end: usize, each: usize| {
            if at < end {
                windows.add(context.window(self.out, at + from * each, (to - from) * each));
            }
        };
        add(0, parts.first, sizes.steps * sizes.wide);
        add(parts.first, parts.cell, sizes.out);
        add(parts.cell, parts.new, sizes.hidden);
        add(parts.new, parts.projected, sizes.steps * sizes.hidden);
        add(parts.projected, parts.end, sizes.steps * sizes.out);
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
    kernel: &'a Backward,
    context: &'a Context<'a>,
    turn: Turn,
}

/// What a worker has of its samples, each row with room for whole vectors.
#[derive(Clone, Copy)]
struct State {
    /// Gradients in the output, and in the cell.
    dh: *mut f32,
    dc: *mut f32,
    /// Gradients in what is projected.
    inner: *mut f32,
    /// Gradients in the recurrent products.
    sums: *mut f32,
    /// Gradients in the output of the step before.
    back: *mut f32,
    y: *const f32,
    dy: *const f32,
    out: *mut f32,
    parts: RecurrenceParts,
    to: RecurrenceGradParts,
}

/// A step of a sample, in the order in which the steps were taken.
#[derive(Clone, Copy)]
struct At {
    sample: usize,
    /// Its row among the task's.
    row: usize,
    turn: usize,
}

impl Task for Samples<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Samples { kernel, context, turn } = self;
        let (problem, sizes) = (&kernel.problem, kernel.problem.sizes);
        let (from, to) = problem.samples(turn.task);
        let rows = to - from;
        let [wide, hidden, out] = [sizes.wide, sizes.hidden, sizes.out].map(roomy);
        let mut scratch = Scratch(context.worker_scratch(turn.worker).cast());
        let state = State {
            dh: scratch.take(rows * out),
            dc: scratch.take(rows * hidden),
            inner: scratch.take(rows * hidden),
            sums: scratch.take(rows * wide),
            back: scratch.take(rows * out),
            y: context.floats(kernel.y),
            dy: context.floats(kernel.dy),
            out: context.floats(kernel.out),
            parts: sizes.parts(&problem.op),
            to: sizes.grad_parts(&problem.op),
        };
        let packed: *const f32 = context.shared_scratch().cast();
        let (weight, projection) = (kernel.weight(), kernel.projection());
        let projected = packed.wrapping_add(weight.elements());
        // SAFETY: the caller vouches for the context; the samples are this task's.
        unsafe {
            for r in 0..rows {
                let last = state.dy.add(state.parts.last + (from + r) * sizes.out);
                copy(last, state.dh.add(r * out), sizes.out);
                if problem.cell.is_some() {
                    let cell = state.dy.add(state.parts.cell + (from + r) * sizes.hidden);
                    copy(cell, state.dc.add(r * hidden), sizes.hidden);
                }
            }
            for turn in (0..sizes.steps).rev() {
                for row in 0..rows {
                    let at = At { sample: from + row, row, turn };
                    kernel.begin::<S>(context, at, state);
                }
                if problem.op.projection {
                    let left = (state.dh.cast_const(), out);
                    let to = (state.inner, hidden);
                    projection.multiply::<S>(projected, rows, left, to, false);
                }
                for row in 0..rows {
                    let at = At { sample: from + row, row, turn };
                    kernel.cell::<S>(context, at, state);
                }
                let to = (state.back, out);
                weight.multiply::<S>(packed, rows, (state.sums, wide), to, true);
                for row in 0..rows {
                    if problem.has(context, from + row, problem.step(turn)) {
                        copy(state.back.add(row * out), state.dh.add(row * out), sizes.out);
                    }
                }
            }
            for r in 0..rows {
                let to = state.out.add(state.to.first + (from + r) * sizes.out);
                copy(state.dh.add(r * out), to, sizes.out);
                if problem.cell.is_some() {
                    let to = state.out.add(state.to.cell + (from + r) * sizes.hidden);
                    copy(state.dc.add(r * hidden), to, sizes.hidden);
                }
            }
        }
    }
}

impl Backward {
    /// Adds the gradient of a step's output to that of the state behind it.
    ///
    /// # Safety
    /// The machine has `S`, the context is that of the plan, and there is such a step.
    #[inline(always)]
    unsafe fn begin<S: Simd>(&self, context: &Context<'_>, at: At, state: State) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let RecurrenceSizes { out, hidden, .. } = sizes;
        let step = problem.step(at.turn);
        let index = at.sample * sizes.steps + step;
        // SAFETY: the caller vouches for the step.
        unsafe {
            let dh = state.dh.add(at.row * roomy(out));
            let has = problem.has(context, at.sample, step);
            if has {
                let dy = state.dy.add(index * out);
                for i in (0..out).step_by(S::LANES) {
                    let sum = S::add(load::<S>(dh.add(i), out - i), load::<S>(dy.add(i), out - i));
                    save::<S>(dh.add(i), sum, out - i);
                }
            }
            if problem.op.projection {
                let to = state.out.add(state.to.projected + index * out);
                if has {
                    copy(dh, to, out)
                } else {
                    zeros(to, out)
                };
            } else {
                copy(dh, state.inner.add(at.row * roomy(hidden)), hidden);
            }
        }
    }

    /// The gradients in a step's sums, in the cell before it, and what goes to the output before it past the
    /// products.
    ///
    /// # Safety
    /// As of [`Self::begin`].
    #[inline(always)]
    unsafe fn cell<S: Simd>(&self, context: &Context<'_>, at: At, state: State) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let RecurrenceSizes { hidden, wide, out, .. } = sizes;
        let step = problem.step(at.turn);
        let index = at.sample * sizes.steps + step;
        // SAFETY: the caller vouches for the step.
        unsafe {
            let sums = state.sums.add(at.row * roomy(wide));
            let back = state.back.add(at.row * roomy(out));
            zeros(back, out);
            let given = state.out.add(index * wide);
            let new = state.out.add(state.to.new + index * hidden);
            if !problem.has(context, at.sample, step) {
                zeros(sums, wide);
                zeros(given, wide);
                if problem.op.cell == Cell::Gru {
                    zeros(new, hidden);
                }
                return;
            }
            let dh = state.inner.add(at.row * roomy(hidden));
            let dc = state.dc.add(at.row * roomy(hidden));
            let kept = state.y.add(state.parts.kept + index * sizes.kept(&problem.op));
            let old = self.before(context, at, state);
            for i in (0..hidden).step_by(S::LANES) {
                let left = hidden - i;
                let (dh, kept) = (load::<S>(dh.add(i), left), kept.add(i));
                let (sums, given) = (sums.add(i), given.add(i));
                match problem.op.cell {
                    Cell::Tanh | Cell::Relu => {
                        let y = load::<S>(state.y.add(index * out + i), left);
                        let slope = match problem.op.cell {
                            Cell::Tanh => S::mul(dh, slope_of_tanh::<S>(y)),
                            _ => {
                                let none = S::splat(0.0);
                                S::select(S::lt(none, y), dh, none)
                            }
                        };
                        save::<S>(sums, slope, left);
                        save::<S>(given, slope, left);
                    }
                    Cell::Lstm => {
                        let gates = load_gates::<S, 5>(kept, hidden, left);
                        let old = load::<S>(old.add(i), left);
                        let dc = dc.add(i);
                        let (slopes, cell) = lstm_back::<S>(gates, old, dh, load::<S>(dc, left));
                        save::<S>(dc, cell, left);
                        save_gates::<S, 4>(sums, slopes, hidden, left);
                        save_gates::<S, 4>(given, slopes, hidden, left);
                    }
                    Cell::Gru => {
                        let gates = load_gates::<S, 4>(kept, hidden, left);
                        let old = load::<S>(old.add(i), left);
                        let ([r, z, n, of_new], past) = gru_back::<S>(gates, old, dh);
                        save::<S>(back.add(i), past, left);
                        save_gates::<S, 3>(sums, [r, z, of_new], hidden, left);
                        save_gates::<S, 3>(given, [r, z, n], hidden, left);
                        save::<S>(new.add(i), of_new, left);
                    }
                }
            }
        }
    }

    /// The cell of an LSTM, or the output of a GRU, before a step.
    ///
    /// # Safety
    /// The context is that of the plan, and there is such a step.
    unsafe fn before(&self, context: &Context<'_>, at: At, state: State) -> *const f32 {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let lstm = problem.op.cell == Cell::Lstm;
        let width = if lstm { sizes.hidden } else { sizes.out };
        let first = problem.cell.unwrap_or(problem.first);
        // SAFETY: the caller vouches for the step.
        unsafe {
            let first = context.floats(first).add(at.sample * width);
            let Some(turn) = at.turn.checked_sub(1) else { return first };
            let step = problem.step(turn);
            if !problem.has(context, at.sample, step) {
                return first;
            }
            let index = at.sample * sizes.steps + step;
            match lstm {
                true => {
                    let kept = sizes.kept(&problem.op);
                    state.y.add(state.parts.kept + index * kept + 4 * sizes.hidden)
                }
                false => state.y.add(index * sizes.out),
            }
        }
    }
}
