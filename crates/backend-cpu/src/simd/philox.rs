//! Uniform random numbers for a whole tile: [`onestep_engine::philox`] over several counters in
//! step, so that compilers can put them side by side in vectors.

use onestep_engine::philox::uniform_block;

/// Elements made at a time.
const RANDOM_BLOCK: usize = 64;

const COUNTERS: usize = RANDOM_BLOCK / 4;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The key of a random stream at one step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RandomKey {
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

/// Fills `out` with the elements from `index` on of a stream.
#[inline(always)]
pub(crate) fn fill_uniform(key: RandomKey, stream: u32, index: u64, out: &mut [f32]) {
    let (mut at, mut done) = (index, 0);
    while done < out.len() {
        let block = (at / 4) as u32;
        let left = out.len() - done;
        if at % 4 == 0 && left >= RANDOM_BLOCK {
            blocks(key, stream, block, &mut out[done..done + RANDOM_BLOCK]);
            at += RANDOM_BLOCK as u64;
            done += RANDOM_BLOCK;
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

/// `COUNTERS` blocks from `block` on.
#[inline(always)]
fn blocks(key: RandomKey, stream: u32, block: u32, out: &mut [f32]) {
    let mut k = [key.seed as u32, (key.seed >> 32) as u32];
    let mut c0 = [0u32; COUNTERS];
    for (i, c) in c0.iter_mut().enumerate() {
        *c = block.wrapping_add(i as u32);
    }
    let mut c1 = [stream; COUNTERS];
    let mut c2 = [key.step as u32; COUNTERS];
    let mut c3 = [(key.step >> 32) as u32; COUNTERS];
    for _ in 0..10 {
        for i in 0..COUNTERS {
            let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c0[i]);
            let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c2[i]);
            c0[i] = (p1 >> 32) as u32 ^ c1[i] ^ k[0];
            c1[i] = p1 as u32;
            c2[i] = (p0 >> 32) as u32 ^ c3[i] ^ k[1];
            c3[i] = p0 as u32;
        }
        k = [k[0].wrapping_add(KEY_STEPS[0]), k[1].wrapping_add(KEY_STEPS[1])];
    }
    let unit = |bits: u32| (bits >> 8) as f32 * (1.0 / 16_777_216.0);
    for (i, four) in out.chunks_exact_mut(4).enumerate().take(COUNTERS) {
        four[0] = unit(c0[i]);
        four[1] = unit(c1[i]);
        four[2] = unit(c2[i]);
        four[3] = unit(c3[i]);
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::philox::uniform;

    use super::*;

    #[test]
    fn blocks_match_the_definition() {
        let key = RandomKey { seed: 0x1234_5678_9abc_def0, step: 0x1_0000_0007 };
        for (start, length) in [(0, 200), (1, 131), (3, 64), (62, 5), (1 << 33, 130)] {
            let mut out = vec![0.0; length];
            fill_uniform(key, 5, start, &mut out);
            for (i, x) in out.iter().enumerate() {
                assert_eq!(*x, uniform(key.seed, key.step, 5, start + i as u64), "{start} + {i}");
            }
        }
    }
}
