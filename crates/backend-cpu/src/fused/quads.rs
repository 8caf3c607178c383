//! Elementwise loops over a tile with four operands.

use std::marker::PhantomData;

use super::maps::{Operand, Target};
use crate::simd::{MAX_LANES, Simd, Task, math};
use crate::stores::check;

/// A function of four operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quaternary {
    /// `a b + c d`
    SumOfProducts,
    /// `d - (a / b) c`
    LessQuotient,
}

/// # Safety
/// The operands have as many elements as the target.
#[inline(always)]
pub(super) unsafe fn quaternary<S: Simd>(op: Quaternary, operands: [Operand; 4], to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match op {
            Quaternary::SumOfProducts => map::<S, SumOfProducts>(operands, to),
            Quaternary::LessQuotient => map::<S, LessQuotient>(operands, to),
        }
    }
}

trait Function {
    /// # Safety
    /// The machine has `S`.
    unsafe fn apply<S: Simd>(operands: [S::V; 4]) -> S::V;
}

struct SumOfProducts;

impl Function for SumOfProducts {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c, d]: [S::V; 4]) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { S::fma(a, b, S::mul(c, d)) }
    }
}

struct LessQuotient;

impl Function for LessQuotient {
    #[inline(always)]
    unsafe fn apply<S: Simd>([a, b, c, d]: [S::V; 4]) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { S::fma(math::neg::<S>(S::div(a, b)), c, d) }
    }
}

/// Elements in memory, or one vector that repeats: one loop serves all sixteen kinds of operands.
#[derive(Clone, Copy)]
struct Strided {
    at: *const f32,
    /// All ones where elements follow, and 0 where they repeat.
    mask: usize,
}

struct Map<F> {
    operands: [Strided; 4],
    to: Target,
    function: PhantomData<F>,
}

impl<F: Function> Task for Map<F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (Map { operands: [a, b, c, d], .. }, Target { out, length }) = (&self, self.to);
        check(out, length);
        // SAFETY: the operands have as many elements as the target, or a vector.
        unsafe {
            let mut i = 0;
            while i + S::LANES <= length {
                let load = |x: &Strided| S::load(x.at.add(i & x.mask));
                S::put(out.add(i), F::apply::<S>([load(a), load(b), load(c), load(d)]));
                i += S::LANES;
            }
            if i < length {
                let load =
                    |x: &Strided| S::load_lanes(x.at.add(i & x.mask), length - i, S::splat(0.0));
                let result = F::apply::<S>([load(a), load(b), load(c), load(d)]);
                S::put_lanes(out.add(i), result, 0, length - i);
            }
        }
    }
}

#[inline(always)]
unsafe fn map<S: Simd, F: Function>(operands: [Operand; 4], to: Target) {
    let mut numbers = [[0.0f32; MAX_LANES]; 4];
    let mut strided = [Strided { at: std::ptr::null(), mask: 0 }; 4];
    for ((operand, number), strided) in operands.iter().zip(&mut numbers).zip(&mut strided) {
        *strided = match *operand {
            Operand::Elements(at) => Strided { at, mask: usize::MAX },
            Operand::Number(x) => {
                *number = [x; MAX_LANES];
                Strided { at: number.as_ptr(), mask: 0 }
            }
        };
    }
    // SAFETY: the caller vouches for the elements; the numbers outlive the loop.
    unsafe { S::call(Map { operands: strided, to, function: PhantomData::<F> }) }
}
