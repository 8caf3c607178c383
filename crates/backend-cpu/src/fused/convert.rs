//! Between f32 and the other dtypes, and between rows with gaps and tiles.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use onestep_engine::DType;

use super::TILE;
use crate::stores::check;

/// Copies `length` elements, `stride` apart from `from` on, to f32.
///
/// # Safety
/// All of them lie in memory, and `to` has room for them.
#[inline(always)]
pub(super) unsafe fn load_run(
    dtype: DType,
    from: *const u8,
    stride: usize,
    to: *mut f32,
    length: usize,
) {
    // SAFETY: the caller vouches for the elements; half types are plain bits.
    unsafe {
        match (dtype, stride) {
            (DType::F32, 1) => std::ptr::copy_nonoverlapping(from.cast::<f32>(), to, length),
            (DType::F32, _) => gather(from.cast::<f32>(), stride, to, length, |x| x),
            (DType::I32, _) => gather(from.cast::<i32>(), stride, to, length, |x| x as f32),
            (DType::U8, _) => gather(from, stride, to, length, f32::from),
            (DType::BF16, _) => {
                let widen = |bits: u16| f32::from_bits(u32::from(bits) << 16);
                gather(from.cast::<u16>(), stride, to, length, widen);
            }
            (DType::F16, 1) => {
                let halves = std::slice::from_raw_parts(from.cast::<f16>(), length);
                halves.convert_to_f32_slice(std::slice::from_raw_parts_mut(to, length));
            }
            (DType::F16, _) => gather(from.cast::<f16>(), stride, to, length, f16::to_f32),
        }
    }
}

#[inline(always)]
unsafe fn gather<T: Copy>(
    from: *const T,
    stride: usize,
    to: *mut f32,
    length: usize,
    convert: impl Fn(T) -> f32,
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match stride {
            0 if length > 0 => {
                let x = convert(*from);
                std::slice::from_raw_parts_mut(to, length).fill(x);
            }
            1 => (0..length).for_each(|i| *to.add(i) = convert(*from.add(i))),
            _ => (0..length).for_each(|i| *to.add(i) = convert(*from.add(i * stride))),
        }
    }
}

/// Copies `length` f32 elements to elements of `dtype` that lie `stride` apart.
///
/// # Safety
/// All of them lie in memory and do not overlap; `length` is at most a tile.
#[inline(always)]
pub(super) unsafe fn store_run(
    dtype: DType,
    from: *const f32,
    to: *mut u8,
    stride: usize,
    length: usize,
) {
    debug_assert!(length <= TILE, "a run is part of a tile");
    check(to, if length > 0 { ((length - 1) * stride + 1) * dtype.size() } else { 0 });
    // SAFETY: the caller vouches for the elements; half types are plain bits.
    unsafe {
        match (dtype, stride) {
            (DType::F32, 1) => std::ptr::copy(from, to.cast::<f32>(), length),
            (DType::F32, _) => scatter(from, to.cast::<f32>(), stride, length, |x| x),
            // Truncation towards zero, saturating, as in a cast.
            (DType::I32, _) => scatter(from, to.cast::<i32>(), stride, length, |x| x as i32),
            (DType::U8, _) => scatter(from, to, stride, length, |x| x as u8),
            (DType::BF16, _) => scatter(from, to.cast::<bf16>(), stride, length, bf16::from_f32),
            (DType::F16, 1) => {
                let halves = std::slice::from_raw_parts_mut(to.cast::<f16>(), length);
                halves.convert_from_f32_slice(std::slice::from_raw_parts(from, length));
            }
            (DType::F16, _) => scatter(from, to.cast::<f16>(), stride, length, f16::from_f32),
        }
    }
}

#[inline(always)]
unsafe fn scatter<T>(
    from: *const f32,
    to: *mut T,
    stride: usize,
    length: usize,
    convert: impl Fn(f32) -> T,
) {
    // SAFETY: the caller vouches for the elements.
    unsafe {
        match stride {
            1 => (0..length).for_each(|i| to.add(i).write(convert(*from.add(i)))),
            _ => (0..length).for_each(|i| to.add(i * stride).write(convert(*from.add(i)))),
        }
    }
}

/// Elements of any dtype that lie side by side, as f32.
///
/// # Safety
/// There are as many at `from` as `out` has room for.
pub(crate) unsafe fn to_f32(dtype: DType, from: *const u8, out: &mut [f32]) {
    // SAFETY: the caller vouches for the elements.
    unsafe { load_run(dtype, from, 1, out.as_mut_ptr(), out.len()) }
}

/// One element as f32.
///
/// # Safety
/// There is one at `from`.
pub(super) unsafe fn load_one(dtype: DType, from: *const u8) -> f32 {
    let mut x = 0.0;
    // SAFETY: the caller vouches for the element.
    unsafe { load_run(dtype, from, 1, &mut x, 1) };
    x
}

/// `x` as it would be after a store as `dtype` and a load, for each of `length` elements.
///
/// # Safety
/// The elements are valid; `to` may lie exactly on `from`.
#[inline(always)]
pub(super) unsafe fn round_run(dtype: DType, from: *const f32, to: *mut f32, length: usize) {
    let mut buffer = [0u32; TILE];
    let bytes = buffer.as_mut_ptr().cast::<u8>();
    // SAFETY: no element is larger than four bytes, and a run is at most a tile.
    unsafe {
        store_run(dtype, from, bytes, 1, length);
        load_run(dtype, bytes, 1, to, length);
    }
}
