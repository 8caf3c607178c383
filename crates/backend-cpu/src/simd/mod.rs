//! Instruction sets: one implementation of [`Simd`] each, chosen once at run time.
//!
//! Kernels are written once, generic over [`Simd`], as [`Task`]s. [`Level::run`] enters a function
//! that was compiled for the instruction set; everything below must be `#[inline(always)]` or go
//! through [`Simd::call`], so that it is compiled for it too.

mod fold;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod philox;
mod portable;
#[cfg(test)]
mod tests;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod v3;
#[cfg(target_arch = "x86_64")]
mod v4;

use std::fmt;

use crate::stores::check;

pub(crate) use fold::{fold, sum};
pub(crate) use philox::{RandomKey, fill_uniform};
pub(crate) use transpose::transpose;

/// The most lanes of any instruction set.
pub(crate) const MAX_LANES: usize = 16;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// What every machine has.
    Portable,
    /// x86-64-v3: AVX2 and FMA.
    V3,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ and VL.
    V4,
    /// AArch64 Advanced SIMD.
    Neon,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Portable => "portable",
            Level::V3 => "avx2",
            Level::V4 => "avx512",
            Level::Neon => "neon",
        })
    }
}

impl Level {
    /// Whether this machine has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Level::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Level::V3 => v3::is_available(),
            #[cfg(target_arch = "x86_64")]
            Level::V4 => v4::is_available(),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => true,
            #[allow(unreachable_patterns, reason = "which are left depends on the architecture")]
            _ => false,
        }
    }

    /// The levels of this machine, the best first.
    pub fn available() -> impl Iterator<Item = Level> {
        [Level::V4, Level::V3, Level::Neon, Level::Portable]
            .into_iter()
            .filter(|l| l.is_available())
    }

    /// The best level of this machine.
    pub fn best() -> Level {
        Level::available().next().unwrap_or(Level::Portable)
    }

    /// Runs a task, compiled for this level.
    ///
    /// # Safety
    /// This machine has the level: see [`Level::is_available`].
    #[inline]
    pub(crate) unsafe fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller vouches for the instructions.
            Level::V3 => unsafe { v3::V3::call(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Level::V4 => unsafe { v4::V4::call(task) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: every AArch64 machine that Rust's std supports has Advanced SIMD.
            Level::Neon => unsafe { neon::Neon::call(task) },
            // SAFETY: no special instructions are needed.
            _ => unsafe { portable::Portable::call(task) },
        }
    }

    /// The lanes of a vector and the rows of a matrix-product tile.
    pub(crate) fn tile(self) -> Tile {
        fn of<S: Simd>() -> Tile {
            Tile { lanes: S::LANES, rows: S::ROWS }
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Level::V3 => of::<v3::V3>(),
            #[cfg(target_arch = "x86_64")]
            Level::V4 => of::<v4::V4>(),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => of::<neon::Neon>(),
            _ => of::<portable::Portable>(),
        }
    }
}

/// The shape of a matrix product's tile: `rows` times up to [`VECTORS`] vectors of `lanes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) lanes: usize,
    pub(crate) rows: usize,
}

/// The most vectors side by side in a matrix product's tile.
pub(crate) const VECTORS: usize = 3;

impl Tile {
    /// The columns of a full tile.
    pub(crate) fn columns(self) -> usize {
        VECTORS * self.lanes
    }
}

/// A piece of a kernel, generic over the instruction set.
pub(crate) trait Task {
    /// What it gives back.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The machine has `S`, and what the task itself asks for.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// A vector of f32 lanes and what can be done with it.
///
/// # Safety
/// All methods need the instruction set; loads and stores need `LANES` valid elements at the
/// address, which may be unaligned.
#[allow(clippy::missing_safety_doc, reason = "stated once for all methods above")]
pub(crate) unsafe trait Simd: Copy + Send + Sync + 'static {
    /// Lanes of a vector.
    const LANES: usize;
    /// Rows of a matrix product's tile: with three vectors a row it fits the register file.
    const ROWS: usize;
    /// A vector of f32.
    type V: Copy;
    /// A condition for each lane.
    type M: Copy;

    /// Runs a task in a function that is compiled for this instruction set.
    unsafe fn call<T: Task>(task: T) -> T::Output;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    /// A store that is not checked: to memory that was checked before, or on the stack.
    unsafe fn put(to: *mut f32, v: Self::V);
    /// A store to what the kernel's task may write: see [`stores`](crate::stores).
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        check(to, Self::LANES);
        // SAFETY: the caller vouches for the elements.
        unsafe { Self::put(to, v) }
    }
    /// The `count` elements at `from`, fewer than there are lanes, and behind them what `rest` has
    /// there.
    #[inline(always)]
    unsafe fn load_lanes(from: *const f32, count: usize, rest: Self::V) -> Self::V {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: a vector has at most `MAX_LANES` lanes; the caller vouches for the elements.
        unsafe {
            Self::put(lanes.as_mut_ptr(), rest);
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    /// Writes lanes `from..end` to where a whole store to `to` would put them. Not checked, as
    /// [`Simd::put`].
    unsafe fn put_lanes(to: *mut f32, v: Self::V, from: usize, end: usize);
    /// The same, checked as [`Simd::store`] is.
    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, v: Self::V, from: usize, end: usize) {
        check(to.wrapping_add(from), end - from);
        // SAFETY: the caller vouches for the elements.
        unsafe { Self::put_lanes(to, v, from, end) }
    }
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, with one rounding where the machine can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `sums[v] += a * row[v]`: a row of a matrix product's tile.
    #[inline(always)]
    unsafe fn fma_row<const N: usize>(a: *const f32, row: &[Self::V; N], sums: &mut [Self::V; N]) {
        // SAFETY: the caller vouches for the number.
        unsafe {
            let a = Self::splat(*a);
            let mut v = 0;
            while v < N {
                sums[v] = Self::fma(a, row[v], sums[v]);
                v += 1;
            }
        }
    }
    /// `a > b ? a : b`: gives `b` where either is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a < b ? a : b`: gives `b` where either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    unsafe fn floor(a: Self::V) -> Self::V;
    /// Bitwise and, or, exclusive or.
    unsafe fn and(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn xor(a: Self::V, b: Self::V) -> Self::V;
    /// The lanes' bits as 32-bit integers: sum, difference, shifts.
    unsafe fn add_bits(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub_bits(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn shift_left<const BY: u32>(a: Self::V) -> Self::V;
    /// Keeps the sign.
    unsafe fn shift_right<const BY: u32>(a: Self::V) -> Self::V;
    /// The high and the low halves of the 64-bit products of unsigned lanes with `b`.
    unsafe fn wide_product(a: Self::V, b: u32) -> (Self::V, Self::V);
    /// Integers to floats.
    unsafe fn int_to_float(a: Self::V) -> Self::V;
    unsafe fn eq(a: Self::V, b: Self::V) -> Self::M;
    unsafe fn lt(a: Self::V, b: Self::V) -> Self::M;
    unsafe fn le(a: Self::V, b: Self::V) -> Self::M;
    unsafe fn not(m: Self::M) -> Self::M;
    unsafe fn any(m: Self::M) -> bool;
    /// `m ? a : b`
    unsafe fn select(m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// The lanes of both in turn: `a0 b0 a1 b1 ...`, the first half and the second.
    unsafe fn zip(a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Of `a` followed by `b`, the lanes at even and those at odd places.
    unsafe fn unzip(a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Four elements from each of `LANES / 4` places, `step` elements apart, one after the other.
    unsafe fn load_quads(from: *const f32, step: usize) -> Self::V;
    /// Transposes squares of four: result `i` has, of each of the four vectors in turn, element `i`
    /// of the first four lanes, then of the next four, and so on.
    unsafe fn transpose_quads(v: [Self::V; 4]) -> [Self::V; 4];
    /// The sum of the lanes, in a fixed order.
    unsafe fn sum(v: Self::V) -> f32;
    /// Adds the lanes to `LANES` f64 elements at `to`. Not checked, as [`Simd::put`].
    unsafe fn accumulate(to: *mut f64, v: Self::V);
}

/// Has the cache lines of `count` elements brought to the second-level cache, where the hardware
/// does not follow what is read next. They may lie anywhere. Only with the widest vectors: it paid on
/// a Sapphire Rapids, and took longer than it saved on a Zen 1 (see `docs/performance.md`).
#[inline(always)]
pub(crate) fn prefetch<S: Simd>(at: *const f32, count: usize) {
    const LINE: usize = 64 / size_of::<f32>();
    if S::LANES < MAX_LANES {
        return;
    }
    for element in (0..count).step_by(LINE) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, which no address makes fault.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(element).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at.wrapping_add(element);
    }
}
