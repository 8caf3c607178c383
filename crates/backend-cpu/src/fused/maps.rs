//! Elementwise loops over a tile: a function of one, two or three sources, applied vector by
//! vector. A source is an address or the same number everywhere; the result may lie on a source.

use std::marker::PhantomData;

use onestep_engine::ops::{Binary, Compare, Unary};

use crate::simd::{Simd, Task, math};
use crate::stores::check;

/// Where a loop takes its operand from.
pub(super) trait Vectors: Copy {
    /// The vector from element `i` on.
    ///
    /// # Safety
    /// There are `S::LANES` elements.
    unsafe fn vector<S: Simd>(self, i: usize) -> S::V;

    /// The `count` elements from `i` on, and zeros.
    ///
    /// # Safety
    /// There are `count` elements, fewer than `S::LANES`.
    unsafe fn tail<S: Simd>(self, i: usize, count: usize) -> S::V;
}

/// Elements in memory.
#[derive(Clone, Copy)]
pub(super) struct Elements(pub(super) *const f32);

/// One number everywhere.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f32);

impl Vectors for Elements {
    #[inline(always)]
    unsafe fn vector<S: Simd>(self, i: usize) -> S::V {
        // SAFETY: the caller vouches for the elements.
        unsafe { S::load(self.0.add(i)) }
    }

    #[inline(always)]
    unsafe fn tail<S: Simd>(self, i: usize, count: usize) -> S::V {
        // SAFETY: the caller vouches for the elements.
        unsafe { S::load_lanes(self.0.add(i), count, S::splat(0.0)) }
    }
}

impl Vectors for Number {
    #[inline(always)]
    unsafe fn vector<S: Simd>(self, _: usize) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { S::splat(self.0) }
    }

    #[inline(always)]
    unsafe fn tail<S: Simd>(self, _: usize, _: usize) -> S::V {
        // SAFETY: the caller vouches for the instructions.
        unsafe { S::splat(self.0) }
    }
}

/// A function of three vectors; those of fewer ignore the rest.
pub(super) trait Function {
    /// # Safety
    /// The machine has `S`.
    unsafe fn apply<S: Simd>(a: S::V, b: S::V, c: S::V) -> S::V;
}

/// `out[i] = F(a[i], b[i], c[i])`
struct Map<F, A, B, C> {
    a: A,
    b: B,
    c: C,
    out: *mut f32,
    length: usize,
    function: PhantomData<F>,
}

impl<F: Function, A: Vectors, B: Vectors, C: Vectors> Task for Map<F, A, B, C> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Map { a, b, c, out, length, .. } = self;
        check(out, length);
        // SAFETY: the sources and the result have `length` elements.
        unsafe {
            let mut i = 0;
            while i + S::LANES <= length {
                let (a, b, c) = (a.vector::<S>(i), b.vector::<S>(i), c.vector::<S>(i));
                S::put(out.add(i), F::apply::<S>(a, b, c));
                i += S::LANES;
            }
            if i < length {
                let n = length - i;
                let (a, b, c) = (a.tail::<S>(i, n), b.tail::<S>(i, n), c.tail::<S>(i, n));
                S::put_lanes(out.add(i), F::apply::<S>(a, b, c), 0, n);
            }
        }
    }
}

/// Where results go, and how many.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) out: *mut f32,
    pub(super) length: usize,
}

#[inline(always)]
unsafe fn map<S: Simd, F: Function>(a: impl Vectors, b: impl Vectors, c: impl Vectors, to: Target) {
    let Target { out, length } = to;
    // SAFETY: the caller vouches for the elements.
    unsafe { S::call(Map { a, b, c, out, length, function: PhantomData::<F> }) }
}

macro_rules! functions {
    ($($name:ident($a:ident, $b:ident, $c:ident) = $body:expr;)*) => {$(
        struct $name;
        impl Function for $name {
            #[inline(always)]
            unsafe fn apply<S: Simd>($a: S::V, $b: S::V, $c: S::V) -> S::V {
                // SAFETY: the caller vouches for the instructions.
                unsafe { $body }
            }
        }
    )*};
}

functions! {
    Neg(a, _b, _c) = math::neg::<S>(a);
    Abs(a, _b, _c) = math::abs::<S>(a);
    Sign(a, _b, _c) = math::sign::<S>(a);
    Floor(a, _b, _c) = S::floor(a);
    Exp(a, _b, _c) = math::exp::<S>(a);
    Expm1(a, _b, _c) = math::expm1::<S>(a);
    Log(a, _b, _c) = math::log::<S>(a);
    Log1p(a, _b, _c) = math::log1p::<S>(a);
    Sqrt(a, _b, _c) = S::sqrt(a);
    Rsqrt(a, _b, _c) = S::div(S::splat(1.0), S::sqrt(a));
    Reciprocal(a, _b, _c) = S::div(S::splat(1.0), a);
    Sin(a, _b, _c) = math::sin::<S>(a);
    Cos(a, _b, _c) = math::cos::<S>(a);
    Tanh(a, _b, _c) = math::tanh::<S>(a);
    Sigmoid(a, _b, _c) = math::sigmoid::<S>(a);
    Erf(a, _b, _c) = math::erf::<S>(a);
    Relu(a, _b, _c) = math::relu::<S>(a);
    Add(a, b, _c) = S::add(a, b);
    Sub(a, b, _c) = S::sub(a, b);
    Mul(a, b, _c) = S::mul(a, b);
    Div(a, b, _c) = S::div(a, b);
    Max(a, b, _c) = math::max::<S>(a, b);
    Min(a, b, _c) = math::min::<S>(a, b);
    Pow(a, b, _c) = math::pow::<S>(a, b);
    Eq(a, b, _c) = S::select(S::eq(a, b), S::splat(1.0), S::splat(0.0));
    Ne(a, b, _c) = S::select(S::eq(a, b), S::splat(0.0), S::splat(1.0));
    Lt(a, b, _c) = S::select(S::lt(a, b), S::splat(1.0), S::splat(0.0));
    Le(a, b, _c) = S::select(S::le(a, b), S::splat(1.0), S::splat(0.0));
    Gt(a, b, _c) = S::select(S::lt(b, a), S::splat(1.0), S::splat(0.0));
    Ge(a, b, _c) = S::select(S::le(b, a), S::splat(1.0), S::splat(0.0));
    Choose(a, b, c) = S::select(S::eq(a, S::splat(0.0)), c, b);
    Pass(a, b, c) = S::select(S::lt(S::splat(0.0), a), b, c);
    MulAdd(a, b, c) = S::fma(a, b, c);
    MulSub(a, b, c) = S::fma(a, b, math::neg::<S>(c));
    NegMulAdd(a, b, c) = S::fma(math::neg::<S>(a), b, c);
    RootMulAdd(a, b, c) = S::fma(S::sqrt(a), b, c);
}

/// The first operand itself.
struct First;

impl Function for First {
    #[inline(always)]
    unsafe fn apply<S: Simd>(a: S::V, _: S::V, _: S::V) -> S::V {
        a
    }
}

/// An operand whose kind is known only at run time.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Elements(*const f32),
    Number(f32),
}

const NONE: Number = Number(0.0);

/// Fills with one number.
///
/// # Safety
/// The target is valid; so for all functions here, whose sources have as many elements.
#[inline(always)]
pub(super) unsafe fn fill<S: Simd>(value: f32, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe { map::<S, First>(Number(value), NONE, NONE, to) }
}

#[inline(always)]
pub(super) unsafe fn unary<S: Simd>(op: Unary, a: Operand, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match a {
            Operand::Elements(a) => unary_of::<S>(op, Elements(a), to),
            Operand::Number(a) => unary_of::<S>(op, Number(a), to),
        }
    }
}

#[inline(always)]
unsafe fn unary_of<S: Simd>(op: Unary, a: impl Vectors, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match op {
            Unary::Neg => map::<S, Neg>(a, NONE, NONE, to),
            Unary::Abs => map::<S, Abs>(a, NONE, NONE, to),
            Unary::Sign => map::<S, Sign>(a, NONE, NONE, to),
            Unary::Floor => map::<S, Floor>(a, NONE, NONE, to),
            Unary::Exp => map::<S, Exp>(a, NONE, NONE, to),
            Unary::Expm1 => map::<S, Expm1>(a, NONE, NONE, to),
            Unary::Log => map::<S, Log>(a, NONE, NONE, to),
            Unary::Log1p => map::<S, Log1p>(a, NONE, NONE, to),
            Unary::Sqrt => map::<S, Sqrt>(a, NONE, NONE, to),
            Unary::Rsqrt => map::<S, Rsqrt>(a, NONE, NONE, to),
            Unary::Reciprocal => map::<S, Reciprocal>(a, NONE, NONE, to),
            Unary::Sin => map::<S, Sin>(a, NONE, NONE, to),
            Unary::Cos => map::<S, Cos>(a, NONE, NONE, to),
            Unary::Tanh => map::<S, Tanh>(a, NONE, NONE, to),
            Unary::Sigmoid => map::<S, Sigmoid>(a, NONE, NONE, to),
            Unary::Erf => map::<S, Erf>(a, NONE, NONE, to),
            Unary::Relu => map::<S, Relu>(a, NONE, NONE, to),
        }
    }
}

/// Makes `Elements` or `Number` of two operands and passes them on.
macro_rules! with_sources {
    (($a:ident, $b:ident) => $call:expr) => {
        match ($a, $b) {
            (Operand::Elements(a), Operand::Elements(b)) => {
                let ($a, $b) = (Elements(a), Elements(b));
                $call
            }
            (Operand::Elements(a), Operand::Number(b)) => {
                let ($a, $b) = (Elements(a), Number(b));
                $call
            }
            (Operand::Number(a), Operand::Elements(b)) => {
                let ($a, $b) = (Number(a), Elements(b));
                $call
            }
            (Operand::Number(a), Operand::Number(b)) => {
                let ($a, $b) = (Number(a), Number(b));
                $call
            }
        }
    };
}

#[inline(always)]
pub(super) unsafe fn binary<S: Simd>(op: Binary, a: Operand, b: Operand, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe { with_sources!((a, b) => binary_of::<S>(op, a, b, to)) }
}

#[inline(always)]
unsafe fn binary_of<S: Simd>(op: Binary, a: impl Vectors, b: impl Vectors, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match op {
            Binary::Add => map::<S, Add>(a, b, NONE, to),
            Binary::Sub => map::<S, Sub>(a, b, NONE, to),
            Binary::Mul => map::<S, Mul>(a, b, NONE, to),
            Binary::Div => map::<S, Div>(a, b, NONE, to),
            Binary::Max => map::<S, Max>(a, b, NONE, to),
            Binary::Min => map::<S, Min>(a, b, NONE, to),
            Binary::Pow => map::<S, Pow>(a, b, NONE, to),
        }
    }
}

#[inline(always)]
pub(super) unsafe fn compare<S: Simd>(op: Compare, a: Operand, b: Operand, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe { with_sources!((a, b) => compare_of::<S>(op, a, b, to)) }
}

#[inline(always)]
unsafe fn compare_of<S: Simd>(op: Compare, a: impl Vectors, b: impl Vectors, to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match op {
            Compare::Eq => map::<S, Eq>(a, b, NONE, to),
            Compare::Ne => map::<S, Ne>(a, b, NONE, to),
            Compare::Lt => map::<S, Lt>(a, b, NONE, to),
            Compare::Le => map::<S, Le>(a, b, NONE, to),
            Compare::Gt => map::<S, Gt>(a, b, NONE, to),
            Compare::Ge => map::<S, Ge>(a, b, NONE, to),
        }
    }
}

/// A function of three operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ternary {
    /// `a != 0 ? b : c`
    Select,
    /// `a > 0 ? b : c`
    Gate,
    /// `a b + c`
    MulAdd,
    /// `a b - c`
    MulSub,
    /// `c - a b`
    NegMulAdd,
    /// `sqrt(a) b + c`
    RootMulAdd,
}

#[inline(always)]
pub(super) unsafe fn ternary<S: Simd>(op: Ternary, [a, b, c]: [Operand; 3], to: Target) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match a {
            Operand::Elements(a) => {
                let a = Elements(a);
                with_sources!((b, c) => ternary_of::<S>(op, a, b, c, to));
            }
            Operand::Number(a) => {
                let a = Number(a);
                with_sources!((b, c) => ternary_of::<S>(op, a, b, c, to));
            }
        }
    }
}

#[inline(always)]
unsafe fn ternary_of<S: Simd>(
    op: Ternary,
    a: impl Vectors,
    b: impl Vectors,
    c: impl Vectors,
    to: Target,
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match op {
            Ternary::Select => map::<S, Choose>(a, b, c, to),
            Ternary::Gate => map::<S, Pass>(a, b, c, to),
            Ternary::MulAdd => map::<S, MulAdd>(a, b, c, to),
            Ternary::MulSub => map::<S, MulSub>(a, b, c, to),
            Ternary::NegMulAdd => map::<S, NegMulAdd>(a, b, c, to),
            Ternary::RootMulAdd => map::<S, RootMulAdd>(a, b, c, to),
        }
    }
}
