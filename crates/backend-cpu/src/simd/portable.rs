//! Plain Rust on four lanes, which compilers turn into what every machine has.

use std::array::from_fn;

use super::{Simd, Task};

#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn map2(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
fn bits2(a: [f32; 4], b: [f32; 4], f: impl Fn(u32, u32) -> u32) -> [f32; 4] {
    map2(a, b, |a, b| f32::from_bits(f(a.to_bits(), b.to_bits())))
}

// SAFETY: loads and stores stay within what the trait's contract names.
unsafe impl Simd for Portable {
    const LANES: usize = 4;
    const ROWS: usize = 4;
    type V = [f32; 4];
    type M = [bool; 4];

    // Its own function, so that each task is compiled once.
    #[inline(never)]
    unsafe fn call<T: Task>(task: T) -> T::Output {
        // SAFETY: the caller vouches for the task.
        unsafe { task.run::<Portable>() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller vouches for four elements.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn put(to: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller vouches for four elements.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn put_lanes(to: *mut f32, v: [f32; 4], from: usize, end: usize) {
        let mut lanes = [0.0f32; 4];
        // SAFETY: the caller vouches for these lanes' elements.
        unsafe {
            Self::put(lanes.as_mut_ptr(), v);
            for (lane, x) in lanes.iter().enumerate().take(end).skip(from) {
                to.wrapping_add(lane).write(*x);
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        map2(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn sqrt(a: [f32; 4]) -> [f32; 4] {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn floor(a: [f32; 4]) -> [f32; 4] {
        a.map(f32::floor)
    }
    #[inline(always)]
    unsafe fn and(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        bits2(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        bits2(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn xor(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        bits2(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    unsafe fn add_bits(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        bits2(a, b, |a, b| a.wrapping_add(b))
    }
    #[inline(always)]
    unsafe fn sub_bits(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        bits2(a, b, |a, b| a.wrapping_sub(b))
    }
    #[inline(always)]
    unsafe fn shift_left<const BY: u32>(a: [f32; 4]) -> [f32; 4] {
        a.map(|a| f32::from_bits(a.to_bits() << BY))
    }
    #[inline(always)]
    unsafe fn shift_right<const BY: u32>(a: [f32; 4]) -> [f32; 4] {
        a.map(|a| f32::from_bits((a.to_bits() as i32 >> BY) as u32))
    }
    #[inline(always)]
    unsafe fn wide_product(a: [f32; 4], b: u32) -> ([f32; 4], [f32; 4]) {
        let product = a.map(|a| u64::from(a.to_bits()) * u64::from(b));
        (
            product.map(|p| f32::from_bits((p >> 32) as u32)),
            product.map(|p| f32::from_bits(p as u32)),
        )
    }
    #[inline(always)]
    unsafe fn int_to_float(a: [f32; 4]) -> [f32; 4] {
        a.map(|a| a.to_bits() as i32 as f32)
    }
    #[inline(always)]
    unsafe fn eq(a: [f32; 4], b: [f32; 4]) -> [bool; 4] {
        from_fn(|i| a[i] == b[i])
    }
    #[inline(always)]
    unsafe fn lt(a: [f32; 4], b: [f32; 4]) -> [bool; 4] {
        from_fn(|i| a[i] < b[i])
    }
    #[inline(always)]
    unsafe fn le(a: [f32; 4], b: [f32; 4]) -> [bool; 4] {
        from_fn(|i| a[i] <= b[i])
    }
    #[inline(always)]
    unsafe fn not(m: [bool; 4]) -> [bool; 4] {
        m.map(|m| !m)
    }
    #[inline(always)]
    unsafe fn any(m: [bool; 4]) -> bool {
        m[0] | m[1] | m[2] | m[3]
    }
    #[inline(always)]
    unsafe fn select(m: [bool; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn zip(a: [f32; 4], b: [f32; 4]) -> ([f32; 4], [f32; 4]) {
        ([a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]])
    }
    #[inline(always)]
    unsafe fn unzip(a: [f32; 4], b: [f32; 4]) -> ([f32; 4], [f32; 4]) {
        ([a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]])
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const f32, _step: usize) -> [f32; 4] {
        // SAFETY: the caller vouches for four elements.
        unsafe { Self::load(from) }
    }
    #[inline(always)]
    unsafe fn transpose_quads(v: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
        from_fn(|i| from_fn(|j| v[j][i]))
    }
    #[inline(always)]
    unsafe fn sum(v: [f32; 4]) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    unsafe fn accumulate(to: *mut f64, v: [f32; 4]) {
        for (i, x) in v.into_iter().enumerate() {
            // SAFETY: the caller vouches for four elements.
            unsafe { *to.add(i) += f64::from(x) };
        }
    }
}
