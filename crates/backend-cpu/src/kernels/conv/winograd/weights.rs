//! The transform of weights.

use std::ops::Range;

use super::sizes::Filter;
use super::transform::{self, Transform, WINDOW};
use crate::kernels::conv::grid::{load_square, store_square};
use crate::simd::{MAX_LANES, Simd, transpose};

/// Where the transformed weights of a vector of result channels go: those of a frequency and a
/// channel to `at + frequency * self.frequency + channel * self.channel`, where channels count from
/// the first that is transformed.
#[derive(Clone, Copy)]
pub(super) struct Transformed {
    pub(super) at: *mut f32,
    pub(super) channel: usize,
    pub(super) frequency: usize,
}

/// Transforms the weights of some channels for the vector of result channels that begins with
/// `first`.
///
/// # Safety
/// The machine has `S`; the filter's weights are at `weight`, and there is room for the result.
#[inline(always)]
pub(super) unsafe fn transform_weights<
    S: Simd,
    W: Transform<M, N>,
    const M: usize,
    const N: usize,
>(
    filter: &Filter,
    weight: *const f32,
    first: usize,
    channels: Range<usize>,
    to: Transformed,
) {
    const ELEMENTS: usize = WINDOW * WINDOW;
    let Filter { weights, turned, rows, .. } = *filter;
    let size = (S::LANES.min(rows - first), ELEMENTS);
    // The lanes behind the last row stay zero.
    let mut window = [0.0f32; ELEMENTS * MAX_LANES];
    for (index, channel) in channels.enumerate() {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            let from = weight.add(first * weights.row + channel * weights.channel);
            transpose::<S>((from, weights.row), size, (window.as_mut_ptr(), S::LANES));
            let g = load_square::<S, WINDOW>(|i, j| {
                let e = i * WINDOW + j;
                let e = if turned { ELEMENTS - 1 - e } else { e };
                window.as_ptr().wrapping_add(e * S::LANES)
            });
            let u = transform::weight::<S, W, M, N>(g);
            let to_channel = to.at.add(index * to.channel);
            store_square::<S, N>(u, |i, j| to_channel.add((i * N + j) * to.frequency));
        }
    }
}
