//! Reductions at the end of a fused program. Elements are combined in f32 vectors within a tile,
//! and in f64 from tile to tile; sums and means are f64 from the start, but for groups of four.

use onestep_engine::ops::ReduceKind;

use super::convert::store_run;
use super::domain::Domain;
use super::program::{Program, Reduction};
use super::tile::Stretch;
use crate::cpu_kernel::Context;
use crate::simd::{Simd, fold, sum};
use crate::stores::check;

/// The result of a reduction of nothing.
pub(super) fn identity(kind: ReduceKind) -> f64 {
    match kind {
        ReduceKind::Sum | ReduceKind::Mean => 0.0,
        ReduceKind::Max => f64::NEG_INFINITY,
        ReduceKind::Min => f64::INFINITY,
    }
}

/// One more element. NaN wins.
#[inline(always)]
pub(super) fn combine(kind: ReduceKind, a: f64, b: f64) -> f64 {
    match kind {
        ReduceKind::Sum | ReduceKind::Mean => a + b,
        _ if a.is_nan() || b.is_nan() => f64::NAN,
        ReduceKind::Max => a.max(b),
        ReduceKind::Min => a.min(b),
    }
}

/// Part of a reduction's result in the making.
#[derive(Clone, Copy)]
pub(super) struct Accumulator {
    pub(super) data: *mut f64,
    /// The position of `data[0]` in the whole result.
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Accumulator {
    /// # Safety
    /// There are `count` elements at `data`; so for all methods.
    pub(super) unsafe fn reset(self, kind: ReduceKind) {
        // SAFETY: the caller vouches for the memory.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.count) }.fill(identity(kind));
    }

    /// Takes in the elements of a tile.
    #[inline(always)]
    pub(super) unsafe fn take<S: Simd>(
        self,
        domain: &Domain,
        reduction: &Reduction,
        from: *const f32,
        at: Stretch<'_>,
    ) {
        let inner_kept = reduction.kept[domain.rank() - 1] != 0;
        let kind = reduction.kind;
        domain.for_each_run(at.index, at.length, &reduction.kept, |start, length, offset| {
            debug_assert!(offset >= self.first && offset - self.first < self.count);
            // SAFETY: a tile has the elements; the result has a place for each kept index.
            unsafe {
                let to = self.data.add(offset - self.first);
                let from = from.add(start);
                check(to, if inner_kept { length } else { 1 });
                match (inner_kept, kind) {
                    (true, ReduceKind::Sum | ReduceKind::Mean) => add_each::<S>(to, from, length),
                    (true, _) => {
                        for i in 0..length {
                            *to.add(i) = combine(kind, *to.add(i), f64::from(*from.add(i)));
                        }
                    }
                    (false, ReduceKind::Sum | ReduceKind::Mean) => *to += sum::<S>(from, length),
                    (false, _) => {
                        *to = combine(kind, *to, f64::from(fold::<S>(kind, from, length)))
                    }
                }
            }
        });
    }

    /// Writes the finished elements to the result.
    pub(super) unsafe fn finish(
        self,
        domain: &Domain,
        reduction: &Reduction,
        context: &Context<'_>,
    ) {
        let view = &reduction.view;
        let base = context.at(view.address);
        let plain = view.strides == reduction.kept;
        // A mean is rounded once, behind the division.
        let divisor = match reduction.kind {
            ReduceKind::Mean => domain.elements() as f64 / reduction.count.max(1) as f64,
            _ => 1.0,
        };
        for i in 0..self.count {
            let position = self.first + i;
            let offset = if plain { position } else { spread(domain, reduction, position) };
            // SAFETY: the plan keeps the result within its region.
            unsafe {
                let x = (*self.data.add(i) / divisor) as f32;
                store_run(view.dtype, &x, base.add(offset * view.dtype.size()), 1, 1);
            }
        }
    }
}

/// Where an element of a result with gaps lies.
fn spread(domain: &Domain, reduction: &Reduction, mut position: usize) -> usize {
    let mut offset = 0;
    for axis in (0..domain.rank()).rev() {
        if reduction.kept[axis] != 0 {
            let size = domain.dims()[axis];
            offset += position % size * reduction.view.strides[axis];
            position /= size;
        }
    }
    offset
}

#[inline(always)]
unsafe fn add_each<S: Simd>(to: *mut f64, from: *const f32, length: usize) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= length {
            S::accumulate(to.add(i), S::load(from.add(i)));
            i += S::LANES;
        }
        while i < length {
            *to.add(i) += f64::from(*from.add(i));
            i += 1;
        }
    }
}

/// Where the accumulators of a program's reductions lie.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Keeping {
    /// Each chunk fills a window of the result, which it then writes: so many elements for each
    /// unit of the outermost axes.
    Window {
        /// Elements for each unit.
        each: usize,
        /// Bytes before it in the worker's part.
        offset: usize,
    },
    /// Each chunk has a whole result of its own; they are combined at the end.
    Partial {
        /// Bytes before the first chunk's in the shared part.
        offset: usize,
    },
}

/// Combines the chunks' partial results of positions `from..to` in order, and writes them.
///
/// # Safety
/// `partials` holds `chunks` whole results, one after the other.
pub(super) unsafe fn combine_partials(
    program: &Program,
    reduction: &Reduction,
    context: &Context<'_>,
    partials: (*mut f64, usize),
    range: (usize, usize),
) {
    let (data, chunks) = partials;
    for position in range.0..range.1 {
        // SAFETY: the caller vouches for the memory; each position belongs to one range.
        unsafe {
            let total = data.add(position);
            for chunk in 1..chunks {
                let next = *data.add(chunk * reduction.count + position);
                *total = combine(reduction.kind, *total, next);
            }
            let one = Accumulator { data: total, first: position, count: 1 };
            one.finish(&program.domain, reduction, context);
        }
    }
}
