//! AArch64 Advanced SIMD.

use std::arch::aarch64::*;

use super::{Simd, Task};

#[derive(Clone, Copy)]
pub(super) struct Neon;

#[target_feature(enable = "neon")]
unsafe fn enter<T: Task>(task: T) -> T::Output {
    // SAFETY: the caller vouches for the instructions and the task.
    unsafe { task.run::<Neon>() }
}

#[inline(always)]
unsafe fn bits(v: float32x4_t) -> uint32x4_t {
    // SAFETY: every AArch64 machine has the instruction.
    unsafe { vreinterpretq_u32_f32(v) }
}

#[inline(always)]
unsafe fn floats(v: uint32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vreinterpretq_f32_u32(v) }
}

// SAFETY: each method is the instruction of its name.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract covers each of them")]
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    const ROWS: usize = 8;
    type V = float32x4_t;
    type M = uint32x4_t;

    #[inline(always)]
    unsafe fn call<T: Task>(task: T) -> T::Output {
        unsafe { enter(task) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn put(to: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn put_lanes(to: *mut f32, v: float32x4_t, from: usize, end: usize) {
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
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    unsafe fn floor(a: float32x4_t) -> float32x4_t {
        unsafe { vrndmq_f32(a) }
    }
    #[inline(always)]
    unsafe fn and(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { floats(vandq_u32(bits(a), bits(b))) }
    }
    #[inline(always)]
    unsafe fn or(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { floats(vorrq_u32(bits(a), bits(b))) }
    }
    #[inline(always)]
    unsafe fn xor(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { floats(veorq_u32(bits(a), bits(b))) }
    }
    #[inline(always)]
    unsafe fn add_bits(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { floats(vaddq_u32(bits(a), bits(b))) }
    }
    #[inline(always)]
    unsafe fn sub_bits(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { floats(vsubq_u32(bits(a), bits(b))) }
    }
    #[inline(always)]
    unsafe fn shift_left<const BY: u32>(a: float32x4_t) -> float32x4_t {
        unsafe { floats(vshlq_u32(bits(a), vdupq_n_s32(BY as i32))) }
    }
    #[inline(always)]
    unsafe fn shift_right<const BY: u32>(a: float32x4_t) -> float32x4_t {
        unsafe {
            vreinterpretq_f32_s32(vshlq_s32(vreinterpretq_s32_f32(a), vdupq_n_s32(-(BY as i32))))
        }
    }
    #[inline(always)]
    unsafe fn wide_product(a: float32x4_t, b: u32) -> (float32x4_t, float32x4_t) {
        unsafe {
            let (a, b) = (bits(a), vdupq_n_u32(b));
            let low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
            let high = vreinterpretq_u32_u64(vmull_high_u32(a, b));
            (floats(vuzp2q_u32(low, high)), floats(vuzp1q_u32(low, high)))
        }
    }
    #[inline(always)]
    unsafe fn int_to_float(a: float32x4_t) -> float32x4_t {
        unsafe { vcvtq_f32_s32(vreinterpretq_s32_f32(a)) }
    }
    #[inline(always)]
    unsafe fn eq(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vceqq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn lt(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcltq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn le(a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        unsafe { vcleq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn not(m: uint32x4_t) -> uint32x4_t {
        unsafe { vmvnq_u32(m) }
    }
    #[inline(always)]
    unsafe fn any(m: uint32x4_t) -> bool {
        unsafe { vmaxvq_u32(m) != 0 }
    }
    #[inline(always)]
    unsafe fn select(m: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(m, a, b) }
    }
    #[inline(always)]
    unsafe fn zip(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vzip1q_f32(a, b), vzip2q_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn unzip(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vuzp1q_f32(a, b), vuzp2q_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const f32, _step: usize) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn transpose_quads([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
        unsafe {
            // a0 c0 a1 c1, then with b and d in between.
            let (ac, bd) = (Self::zip(a, c), Self::zip(b, d));
            let (first, second) = (Self::zip(ac.0, bd.0), Self::zip(ac.1, bd.1));
            [first.0, first.1, second.0, second.1]
        }
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    unsafe fn accumulate(to: *mut f64, v: float32x4_t) {
        unsafe {
            vst1q_f64(to, vaddq_f64(vld1q_f64(to), vcvt_f64_f32(vget_low_f32(v))));
            let to = to.add(2);
            vst1q_f64(to, vaddq_f64(vld1q_f64(to), vcvt_high_f64_f32(v)));
        }
    }
}
