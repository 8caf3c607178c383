//! The gradient of attention: a task for each head of keys of each sample, with all heads of queries that read
//! it.

use onestep_engine::ops::AttentionGrad;

use super::block::{RowAt, exponentials, multiply, pack, pack_turned, times};
use super::{KEYS, Problem, QUERIES, Scratch, most, whole};
use crate::cpu_kernel::{Address, Context, CpuKernel, ScratchNeed};
use crate::kernels::micro::Left;
use crate::kernels::rows::affine;
use crate::pool::Turn;
use crate::simd::{Simd, Task};
use crate::stores::{Windows, copy, put, zeros};

/// A kernel of the gradient.
#[derive(Debug)]
pub(super) struct Backward {
    pub(super) problem: Problem,
    /// The result of the attention.
    pub(super) y: Address,
    /// The gradient of its values.
    pub(super) dy: Address,
    pub(super) out: Address,
}

impl CpuKernel for Backward {
    fn scratch(&self) -> ScratchNeed {
        let sizes = self.problem.sizes;
        let (keys, depth, value) = (most(sizes.keys), most(sizes.depth), most(sizes.value));
        let floats = keys * (sizes.depth + sizes.value + 2 * depth + value)
            + QUERIES * (2 * depth + value + 2 * KEYS + 1)
            + KEYS
            + 12 * most(1);
        ScratchNeed { shared: 0, worker: floats * size_of::<f32>() }
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        let sizes = self.problem.sizes;
        (job == 0).then_some(sizes.batch * sizes.groups)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let sizes = self.problem.sizes;
        let [of_q, of_k, of_v, _] = AttentionGrad::bounds(sizes);
        let (b, group) = (turn.task / sizes.groups, turn.task % sizes.groups);
        let mut add =
            |first: usize, b: usize, (length, heads): (usize, usize), head, width, many| {
                let row = heads * width;
                let first = first + b * length * row + head * width;
                windows.add(context.window(self.out, first, many * width).times(length, row));
            };
        let many = sizes.heads / sizes.groups;
        add(of_q, b, (sizes.queries, sizes.heads), group * many, sizes.depth, many);
        add(of_k, b, (sizes.keys, sizes.groups), group, sizes.depth, 1);
        add(of_v, b, (sizes.keys, sizes.groups), group, sizes.value, 1);
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: each head of keys belongs to one task; the caller vouches for the context.
        unsafe { context.level.run(Group { kernel: self, context, turn }) };
    }
}

struct Group<'a> {
    kernel: &'a Backward,
    context: &'a Context<'a>,
    turn: Turn,
}

/// The keys and values of a head, and the gradients in them so far.
#[derive(Clone, Copy)]
struct Keys {
    count: usize,
    /// Keys as rows and as columns, values as columns.
    rows: *mut f32,
    turned: *mut f32,
    values: *mut f32,
    dk: *mut f32,
    dv: *mut f32,
}

/// A block of queries.
#[derive(Clone, Copy)]
struct Block {
    /// Queries, times the scale, and the gradient in them so far, without the scale.
    q: *mut f32,
    dq: *mut f32,
    /// The gradient of the results, and its product with each result.
    dy: *mut f32,
    shared: *mut f32,
    /// Weights, after dropout, and gradients of the scores.
    weights: *mut f32,
    slopes: *mut f32,
    factors: *mut f32,
}

impl Task for Group<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Group { kernel, context, turn } = self;
        let (problem, sizes) = (&kernel.problem, kernel.problem.sizes);
        let (b, group) = (turn.task / sizes.groups, turn.task % sizes.groups);
        let mut scratch = Scratch(context.worker_scratch(turn.worker).cast());
        let (depth, value) = (whole::<S>(sizes.depth), whole::<S>(sizes.value));
        // SAFETY: the operands have the head, and the scratch memory is as large as was asked for.
        unsafe {
            let count = problem.keys(context, b);
            let keys = Keys {
                count,
                rows: scratch.take(count * depth),
                turned: scratch.take(whole::<S>(count) * sizes.depth),
                values: scratch.take(whole::<S>(count) * sizes.value),
                dk: scratch.take(count * depth),
                dv: scratch.take(count * value),
            };
            let block = Block {
                q: scratch.take(QUERIES * depth),
                dq: scratch.take(QUERIES * depth),
                dy: scratch.take(QUERIES * value),
                shared: scratch.take(QUERIES),
                weights: scratch.take(QUERIES * KEYS),
                slopes: scratch.take(QUERIES * KEYS),
                factors: scratch.take(KEYS),
            };
            let (k, v) = (&problem.k, &problem.v);
            let from = (context.floats(k.at).add(k.row(b, group, 0)).cast_const(), k.strides[2]);
            pack::<S>(from, (count, sizes.depth), 1.0, keys.rows);
            pack_turned::<S>(from, (count, sizes.depth), keys.turned);
            let from = (context.floats(v.at).add(v.row(b, group, 0)).cast_const(), v.strides[2]);
            pack_turned::<S>(from, (count, sizes.value), keys.values);
            zeros(keys.dk, count * depth);
            zeros(keys.dv, count * value);
            let many = sizes.heads / sizes.groups;
            for head in group * many..(group + 1) * many {
                for query in (0..sizes.queries).step_by(QUERIES) {
                    let rows = QUERIES.min(sizes.queries - query);
                    let at = RowAt { sample: b, head, query, key: 0 };
                    kernel.queries::<S>(context, at, rows, keys, block);
                }
            }
            kernel.write::<S>(context, (b, group), keys);
        }
    }
}

impl Backward {
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
        keys: Keys,
        block: Block,
    ) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let (depth, value) = (whole::<S>(sizes.depth), whole::<S>(sizes.value));
        // SAFETY: the caller vouches for the operands.
        unsafe {
            self.begin::<S>(context, at, rows, block);
            let end = problem.seen(keys.count, at.query + rows - 1);
            for key in (0..end).step_by(KEYS) {
                let columns = KEYS.min(end - key);
                let wide = whole::<S>(keys.count);
                let q = Left { at: block.q, row: depth, step: 1 };
                let size = [rows, sizes.depth, columns];
                multiply::<S>(size, q, (keys.turned.add(key), wide), (block.weights, KEYS), false);
                let dy = Left { at: block.dy, row: value, step: 1 };
                let size = [rows, sizes.value, columns];
                multiply::<S>(size, dy, (keys.values.add(key), wide), (block.slopes, KEYS), false);
                for r in 0..rows {
                    let at = RowAt { query: at.query + r, key, ..at };
                    self.row::<S>(context, at, (r, columns, keys.count), block);
                }
                let turned = |from: *mut f32| Left { at: from, row: 1, step: KEYS };
                let (dk, dv) = (keys.dk.add(key * depth), keys.dv.add(key * value));
                let size = [columns, rows, sizes.value];
                multiply::<S>(size, turned(block.weights), (block.dy, value), (dv, value), true);
                let size = [columns, rows, sizes.depth];
                multiply::<S>(size, turned(block.slopes), (block.q, depth), (dk, depth), true);
                let slopes = Left { at: block.slopes, row: KEYS, step: 1 };
                let right = (keys.rows.add(key * depth).cast_const(), depth);
                let size = [rows, columns, sizes.depth];
                multiply::<S>(size, slopes, right, (block.dq, depth), true);
            }
            let out = context.floats(self.out);
            for r in 0..rows {
                let query = at.sample * sizes.queries + at.query + r;
                let to = out.add((query * sizes.heads + at.head) * sizes.depth);
                let factor = (problem.op.scale, 0.0);
                affine::<S>(block.dq.add(r * depth), sizes.depth, factor, to);
            }
        }
    }

    /// Fetches the queries of a block, and what their results and the gradients of those are.
    ///
    /// # Safety
    /// As of [`Self::queries`].
    #[inline(always)]
    unsafe fn begin<S: Simd>(&self, context: &Context<'_>, at: RowAt, rows: usize, block: Block) {
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let (depth, value) = (whole::<S>(sizes.depth), whole::<S>(sizes.value));
        // SAFETY: the caller vouches for the operands.
        unsafe {
            let q = &problem.q;
            let from = context.floats(q.at).add(q.row(at.sample, at.head, at.query));
            pack::<S>((from, q.strides[2]), (rows, sizes.depth), problem.op.scale, block.q);
            zeros(block.dq, rows * depth);
            let first = sizes.value_at(at.sample, at.head, at.query, 0);
            let step = sizes.heads * sizes.value;
            let dy = context.floats(self.dy).add(first);
            pack::<S>((dy, step), (rows, sizes.value), 1.0, block.dy);
            for r in 0..rows {
                let y = context.floats(self.y).add(first + r * step);
                let dy = block.dy.add(r * value);
                put(block.shared.add(r), dot::<S>(y, dy, sizes.value));
            }
        }
    }

    /// Turns the products of a row into weights, and those of its gradient into the scores' gradient.
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
        let (problem, sizes) = (&self.problem, self.problem.sizes);
        let seen = problem.seen(keys, at.query).saturating_sub(at.key).min(columns);
        // SAFETY: the caller vouches for the block.
        unsafe {
            let (weights, slopes) = (block.weights.add(r * KEYS), block.slopes.add(r * KEYS));
            problem.adjust::<S>(context, at, weights, seen);
            let row = sizes.row_at(at.sample, at.head, at.query);
            let log = *context.floats(self.y).add(sizes.values() + row);
            exponentials::<S>(weights, log, seen, columns);
            let shared = S::splat(*block.shared.add(r));
            let factors = problem.op.dropout.map(|drop| {
                problem.factors::<S>(context, drop, at, (block.factors, whole::<S>(columns)));
                times::<S>(slopes, block.factors, columns);
                block.factors
            });
            for i in (0..columns).step_by(S::LANES) {
                let centred = S::sub(S::load(slopes.add(i)), shared);
                S::store(slopes.add(i), S::mul(S::load(weights.add(i)), centred));
            }
            if let Some(factors) = factors {
                times::<S>(weights, factors, columns);
            }
        }
    }

    /// Writes the gradients in keys and values; those that a sample does not have get none.
    ///
    /// # Safety
    /// As of [`Self::queries`].
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, context: &Context<'_>, (b, group): (usize, usize), keys: Keys) {
        let sizes = self.problem.sizes;
        let [_, of_k, of_v, _] = AttentionGrad::bounds(sizes);
        for (first, width, from) in [(of_k, sizes.depth, keys.dk), (of_v, sizes.value, keys.dv)] {
            for j in 0..sizes.keys {
                let to = first + ((b * sizes.keys + j) * sizes.groups + group) * width;
                // SAFETY: the caller vouches for the operands.
                unsafe {
                    let to = context.floats(self.out).add(to);
                    match j < keys.count {
                        true => copy(from.add(j * whole::<S>(width)).cast_const(), to, width),
                        false => zeros(to, width),
                    }
                }
            }
        }
    }
}

/// The dot product of two rows.
///
/// # Safety
/// The machine has `S`, and both have so many elements.
#[inline(always)]
unsafe fn dot<S: Simd>(a: *const f32, b: *const f32, count: usize) -> f32 {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let mut sums = S::splat(0.0);
        for i in (0..count).step_by(S::LANES) {
            let (x, y) = match count - i {
                left if left < S::LANES => {
                    let zero = S::splat(0.0);
                    (S::load_lanes(a.add(i), left, zero), S::load_lanes(b.add(i), left, zero))
                }
                _ => (S::load(a.add(i)), S::load(b.add(i))),
            };
            sums = S::fma(x, y, sums);
        }
        S::sum(sums)
    }
}
