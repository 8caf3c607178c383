//! The attention itself: a task for each head of each sample.

use super::block::{RowAt, exponentials, largest, multiply, pack, pack_turned, times};
use super::{KEYS, Problem, QUERIES, Scratch, most, whole};
use crate::cpu_kernel::{Address, Context, CpuKernel, ScratchNeed};
use crate::kernels::micro::Left;
use crate::kernels::rows::affine;
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::{Windows, put, zeros};

/// A kernel of attention.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) problem: Problem,
    pub(super) out: Address,
}

impl CpuKernel for Forward {
    fn scratch(&self) -> ScratchNeed {
        let sizes = self.problem.sizes;
        let keys = most(sizes.keys);
        let floats = keys * (sizes.depth + most(sizes.value))
            + QUERIES * (most(sizes.depth) + most(sizes.value) + KEYS + 2)
            + KEYS
            // Each piece is in whole cache lines.
            + 8 * most(1);
        ScratchNeed { shared: 0, worker: floats * size_of::<f32>() }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        let sizes = self.problem.sizes;
        (job == 0).then_some(sizes.batch * sizes.heads)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let sizes = self.problem.sizes;
        let (b, h) = (turn.task / sizes.heads, turn.task % sizes.heads);
        let row = sizes.heads * sizes.value;
        let first = b * sizes.queries * row + h * sizes.value;
        windows.add(context.window(self.out, first, sizes.value).times(sizes.queries, row));
        let first = sizes.values() + turn.task * sizes.queries;
        windows.add(context.window(self.out, first, sizes.queries));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: each head belongs to one task; the caller vouches for the context.
        unsafe { context.level.run(Head { kernel: self, context, turn }) };
    }
}

struct Head<'a> {
    kernel: &'a Forward,
    context: &'a Context<'a>,
    turn: Turn,
}

/// What a block of queries has so far.
#[derive(Clone, Copy)]
struct Block {
    /// Queries, times the scale.
    q: *mut f32,
    scores: *mut f32,
    /// Sums of the values, each times the exponential of its score.
    sums: *mut f32,
    /// The largest score of each query, and the sum of the exponentials.
    max: *mut f32,
    total: *mut f32,
    factors: *mut f32,
}

impl Task for Head<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Head { kernel, context, turn } = self;
        let (problem, sizes) = (&kernel.problem, kernel.problem.sizes);
        let (b, h) = (turn.task / sizes.heads, turn.task % sizes.heads);
        let mut scratch = Scratch(context.worker_scratch(turn.worker).cast());
        let (depth, value) = (whole::<S>(sizes.depth), whole::<S>(sizes.value));
        // SAFETY: the operands have the head, and the scratch memory is as large as was asked for.
        unsafe {
            let keys = problem.keys(context, b);
            let turned = scratch.take(whole::<S>(keys) * sizes.depth);
            let values = scratch.take(keys * value);
            let (k, v, group) = (&problem.k, &problem.v, sizes.group(h));
            let from = context.floats(k.at).add(k.row(b, group, 0));
            pack_turned::<S>((from, k.strides[2]), (keys, sizes.depth), turned);
            let from = context.floats(v.at).add(v.row(b, group, 0));
            pack::<S>((from, v.strides[2]), (keys, sizes.value), 1.0, values);
            let block = Block {
                q: scratch.take(QUERIES * depth),
                scores: scratch.take(QUERIES * KEYS),
                sums: scratch.take(QUERIES * value),
                max: scratch.take(QUERIES),
                total: scratch.take(QUERIES),
                factors: scratch.take(KEYS),
            };
            for first in (0..sizes.queries).step_by(QUERIES) {
                let rows = QUERIES.min(sizes.queries - first);
                let at = RowAt { sample: b, head: h, query: first, key: 0 };
                kernel.queries::<S>(context, at, rows, (turned, values, keys), block);
            }
        }
    }
}

impl Forward {
    /// A block of queries against all keys.
    ///
    /// # Safety
    /// The machine has `S`, and all that is pointed to is there.
    #[inline(always)]
    unsafe fn queries<S: Simd>(
        &self,
        context: &Context<'_>,
        at: RowAt,
        rows: usize,
        (turned, values, keys): (*const f32, *const f32, usize),
        block: Block,
    ) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let (depth, value) = (whole::<S>(sizes.depth), whole::<S>(sizes.value));
        // SAFETY: the caller vouches for the operands.
        unsafe {
            let q = &problem.q;
            let from = context.floats(q.at).add(q.row(at.sample, at.head, at.query));
            pack::<S>((from, q.strides[2]), (rows, sizes.depth), problem.op.scale, block.q);
            zeros(block.sums, rows * value);
            for r in 0..rows {
                put(block.max.add(r), f32::NEG_INFINITY);
                put(block.total.add(r), 0.0);
            }
            let end = problem.seen(keys, at.query + rows - 1);
            for key in (0..end).step_by(KEYS) {
                let columns = KEYS.min(end - key);
                let left = Left { at: block.q, row: depth, step: 1 };
                let right = (turned.add(key), whole::<S>(keys));
                let size = [rows, sizes.depth, columns];
                multiply::<S>(size, left, right, (block.scores, KEYS), false);
                for r in 0..rows {
                    let at = RowAt { query: at.query + r, key, ..at };
                    self.row::<S>(context, at, (r, columns, keys), block);
                }
                let left = Left { at: block.scores, row: KEYS, step: 1 };
                let right = (values.add(key * value), value);
                multiply::<S>([rows, columns, sizes.value], left, right, (block.sums, value), true);
            }
            let out = context.floats(self.out);
            for r in 0..rows {
                let (sum, max) = (*block.total.add(r), *block.max.add(r));
                // A query that saw no key.
                let (factor, log) =
                    if max == f32::NEG_INFINITY { (0.0, 0.0) } else { (1.0 / sum, max + sum.ln()) };
                let to = out.add(sizes.value_at(at.sample, at.head, at.query + r, 0));
                affine::<S>(block.sums.add(r * value), sizes.value, (factor, 0.0), to);
                let row = sizes.row_at(at.sample, at.head, at.query + r);
                put(out.add(sizes.values() + row), log);
            }
        }
    }

    /// Turns the scores of a row into weights that are not yet divided by their sum.
    ///
    /// # Safety
    /// As of [`Self::queries`].
    #[inline(always)]
    unsafe fn row<S: Simd>(
        &self,
        context: &Context<'_>,
        at: RowAt,
        (r, columns, keys): (usize, usize, usize),
        block: Block,
    ) {
        let (problem, value) = (&self.problem, whole::<S>(self.problem.sizes.value));
        let seen = problem.seen(keys, at.query).saturating_sub(at.key).min(columns);
        // SAFETY: the caller vouches for the block.
        unsafe {
            let (scores, sums) = (block.scores.add(r * KEYS), block.sums.add(r * value));
            problem.adjust::<S>(context, at, scores, seen);
            let old = *block.max.add(r);
            let max = if seen == 0 { old } else { old.max(largest::<S>(scores, seen)) };
            if max == f32::NEG_INFINITY {
                zeros(scores, whole::<S>(columns));
                return;
            }
            let sum = exponentials::<S>(scores, max, seen, columns);
            let shrink = (old - max).exp();
            put(block.total.add(r), *block.total.add(r) * shrink + sum);
            put(block.max.add(r), max);
            if shrink != 1.0 {
                affine::<S>(sums, value, (shrink, 0.0), sums);
            }
            if let Some(drop) = problem.op.dropout {
                problem.factors::<S>(context, drop, at, (block.factors, whole::<S>(columns)));
                times::<S>(scores, block.factors, columns);
            }
        }
    }
}
