//! AVX2 and FMA.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{Simd, Task, VECTORS};

#[derive(Clone, Copy)]
pub(super) struct V3;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

#[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
unsafe fn enter<T: Task>(task: T) -> T::Output {
    // SAFETY: the caller vouches for the instructions and the task.
    unsafe { task.run::<V3>() }
}

/// [`Simd::fma_row`] of a full tile, which takes all 16 registers. Compilers manage only where nothing
/// can come between the broadcast and its last use: else they keep a sum in memory, and each of its
/// additions waits for the store before it.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn full_row(a: *const f32, row: *const __m256, sums: *mut __m256) {
    // SAFETY: the caller vouches for the number and for three vectors at either address.
    unsafe {
        asm!(
            "vbroadcastss {b}, dword ptr [{a}]",
            "vfmadd231ps {s0}, {b}, {r0}",
            "vfmadd231ps {s1}, {b}, {r1}",
            "vfmadd231ps {s2}, {b}, {r2}",
            a = in(reg) a,
            b = out(ymm_reg) _,
            r0 = in(ymm_reg) *row,
            r1 = in(ymm_reg) *row.add(1),
            r2 = in(ymm_reg) *row.add(2),
            s0 = inout(ymm_reg) *sums,
            s1 = inout(ymm_reg) *sums.add(1),
            s2 = inout(ymm_reg) *sums.add(2),
            options(pure, readonly, nostack, preserves_flags),
        );
    }
}

// SAFETY: each method is the instruction of its name.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the trait's contract covers each of them")]
unsafe impl Simd for V3 {
    const LANES: usize = 8;
    const ROWS: usize = 4;
    type V = __m256;
    type M = __m256;

    #[inline(always)]
    unsafe fn call<T: Task>(task: T) -> T::Output {
        unsafe { enter(task) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn put(to: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn load_lanes(from: *const f32, count: usize, rest: __m256) -> __m256 {
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane);
            _mm256_blendv_ps(rest, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask))
        }
    }
    #[inline(always)]
    unsafe fn put_lanes(to: *mut f32, v: __m256, from: usize, end: usize) {
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let not_before = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(from as i32 - 1));
            let not_after = _mm256_cmpgt_epi32(_mm256_set1_epi32(end as i32), lane);
            _mm256_maskstore_ps(to, _mm256_and_si256(not_before, not_after), v);
        }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fma_row<const N: usize>(a: *const f32, row: &[__m256; N], sums: &mut [__m256; N]) {
        unsafe {
            if N != VECTORS {
                let a = _mm256_broadcast_ss(&*a);
                for v in 0..N {
                    sums[v] = _mm256_fmadd_ps(a, row[v], sums[v]);
                }
                return;
            }
            full_row(a, row.as_ptr(), sums.as_mut_ptr());
        }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m256) -> __m256 {
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    unsafe fn floor(a: __m256) -> __m256 {
        unsafe { _mm256_floor_ps(a) }
    }
    #[inline(always)]
    unsafe fn and(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_and_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_or_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn xor(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_xor_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn add_bits(a: __m256, b: __m256) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        }
    }
    #[inline(always)]
    unsafe fn sub_bits(a: __m256, b: __m256) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        }
    }
    #[inline(always)]
    unsafe fn shift_left<const BY: u32>(a: __m256) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_sll_epi32(
                _mm256_castps_si256(a),
                _mm_cvtsi32_si128(BY as i32),
            ))
        }
    }
    #[inline(always)]
    unsafe fn shift_right<const BY: u32>(a: __m256) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_sra_epi32(
                _mm256_castps_si256(a),
                _mm_cvtsi32_si128(BY as i32),
            ))
        }
    }
    #[inline(always)]
    unsafe fn wide_product(a: __m256, b: u32) -> (__m256, __m256) {
        unsafe {
            let (a, b) = (_mm256_castps_si256(a), _mm256_set1_epi64x(i64::from(b)));
            let even = _mm256_mul_epu32(a, b);
            let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), b);
            let high = _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd);
            let low = _mm256_blend_epi32::<0xaa>(even, _mm256_slli_epi64::<32>(odd));
            (_mm256_castsi256_ps(high), _mm256_castsi256_ps(low))
        }
    }
    #[inline(always)]
    unsafe fn int_to_float(a: __m256) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(_mm256_castps_si256(a)) }
    }
    #[inline(always)]
    unsafe fn eq(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn lt(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn le(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn not(m: __m256) -> __m256 {
        unsafe { _mm256_xor_ps(m, _mm256_castsi256_ps(_mm256_set1_epi32(-1))) }
    }
    #[inline(always)]
    unsafe fn any(m: __m256) -> bool {
        unsafe { _mm256_movemask_ps(m) != 0 }
    }
    #[inline(always)]
    unsafe fn select(m: __m256, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_blendv_ps(b, a, m) }
    }
    #[inline(always)]
    unsafe fn zip(a: __m256, b: __m256) -> (__m256, __m256) {
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
        }
    }
    #[inline(always)]
    unsafe fn unzip(a: __m256, b: __m256) -> (__m256, __m256) {
        unsafe {
            // Pairs of a and b alternate in both.
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(a, b));
            let (even, odd) =
                (_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd));
            (_mm256_castpd_ps(even), _mm256_castpd_ps(odd))
        }
    }
    #[inline(always)]
    unsafe fn load_quads(from: *const f32, step: usize) -> __m256 {
        unsafe {
            let low = _mm256_castps128_ps256(_mm_loadu_ps(from));
            _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.add(step)))
        }
    }
    #[inline(always)]
    unsafe fn transpose_quads([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        unsafe {
            let pair = |a, b| {
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                (_mm256_castps_pd(low), _mm256_castps_pd(high))
            };
            // a0 b0 a1 b1 and a2 b2 a3 b3 of each four lanes, and likewise c and d.
            let (ab, cd) = (pair(a, b), pair(c, d));
            [
                _mm256_castpd_ps(_mm256_unpacklo_pd(ab.0, cd.0)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(ab.0, cd.0)),
                _mm256_castpd_ps(_mm256_unpacklo_pd(ab.1, cd.1)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(ab.1, cd.1)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    unsafe fn accumulate(to: *mut f64, v: __m256) {
        unsafe {
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(v));
            _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), low));
            let to = to.add(4);
            _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), high));
        }
    }
}
