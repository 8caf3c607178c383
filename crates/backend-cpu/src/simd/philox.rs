//! Uniform random numbers for a whole tile: [`onestep_engine::philox`] over as many counters in
//! step as there are lanes.

use onestep_engine::philox::uniform_block;

use super::{MAX_LANES, Simd};

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The key of a random stream at one step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RandomKey {
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

/// Fills `out` with the elements from `index` on of a stream.
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
pub(crate) unsafe fn fill_uniform<S: Simd>(
    key: RandomKey,
    stream: u32,
    index: u64,
    out: &mut [f32],
) {
    let (mut at, mut done) = (index, 0);
    while done < out.len() {
        let block = (at / 4) as u32;
        let left = out.len() - done;
        if at.is_multiple_of(4) && left >= 4 * S::LANES {
            // SAFETY: there is room for four vectors; the caller vouches for the level.
            unsafe { blocks::<S>(key, stream, block, out.as_mut_ptr().add(done)) };
            at += 4 * S::LANES as u64;
            done += 4 * S::LANES;
        } else {
            let four = uniform_block(key.seed, key.step, stream, block);
            let first = (at % 4) as usize;
            let count = (4 - first).min(left);
            out[done..done + count].copy_from_slice(&four[first..first + count]);
            at += count as u64;
            done += count;
        }
    }
}

/// The blocks of all lanes, from `block` on.
///
/// # Safety
/// The machine has `S`, and there is room for four vectors at `out`.
#[inline(always)]
unsafe fn blocks<S: Simd>(key: RandomKey, stream: u32, block: u32, out: *mut f32) {
    let counters: [f32; MAX_LANES] =
        std::array::from_fn(|lane| f32::from_bits(block.wrapping_add(lane as u32)));
    // SAFETY: the caller vouches for the level and the room.
    unsafe {
        let splat = |bits: u32| S::splat(f32::from_bits(bits));
        let mut k = [key.seed as u32, (key.seed >> 32) as u32];
        let mut c0 = S::load(counters.as_ptr());
        let mut c1 = splat(stream);
        let mut c2 = splat(key.step as u32);
        let mut c3 = splat((key.step >> 32) as u32);
        for _ in 0..10 {
            let (high0, low0) = S::wide_product(c0, MULTIPLIERS[0]);
            let (high1, low1) = S::wide_product(c2, MULTIPLIERS[1]);
            c0 = S::xor(S::xor(high1, c1), splat(k[0]));
            c2 = S::xor(S::xor(high0, c3), splat(k[1]));
            (c1, c3) = (low1, low0);
            k = [k[0].wrapping_add(KEY_STEPS[0]), k[1].wrapping_add(KEY_STEPS[1])];
        }
        // The four numbers of a lane lie side by side.
        let mut lanes = [[0.0f32; MAX_LANES]; 4];
        for (lanes, c) in lanes.iter_mut().zip([c0, c1, c2, c3]) {
            // The sign is shifted in, but only zeros remain of it.
            let high = S::and(S::shift_right::<8>(c), splat(0x00ff_ffff));
            let unit = S::mul(S::int_to_float(high), S::splat(1.0 / 16_777_216.0));
            S::put(lanes.as_mut_ptr(), unit);
        }
        let out = std::slice::from_raw_parts_mut(out, 4 * S::LANES);
        for (i, four) in out.chunks_exact_mut(4).enumerate() {
            for (number, lanes) in four.iter_mut().zip(&lanes) {
                *number = lanes[i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::philox::uniform;

    use super::super::{Level, Task};
    use super::*;

    struct Fill<'a>(RandomKey, u64, &'a mut [f32]);

    impl Task for Fill<'_> {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            // SAFETY: the caller vouches for the level.
            unsafe { fill_uniform::<S>(self.0, 5, self.1, self.2) };
        }
    }

    #[test]
    fn blocks_match_the_definition() {
        let key = RandomKey { seed: 0x1234_5678_9abc_def0, step: 0x1_0000_0007 };
        for level in Level::available() {
            for (start, length) in [(0, 200), (1, 131), (3, 64), (62, 5), (1 << 33, 130)] {
                let mut out = vec![0.0; length];
                // SAFETY: the level is available.
                unsafe { level.run(Fill(key, start, &mut out)) };
                for (i, x) in out.iter().enumerate() {
                    let want = uniform(key.seed, key.step, 5, start + i as u64);
                    assert_eq!(*x, want, "{level}: {start} + {i}");
                }
            }
        }
    }
}
