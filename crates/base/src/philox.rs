//! Philox 4x32-10, a counter-based random number generator (Salmon et al., "Parallel random
//! numbers: as easy as 1, 2, 3", SC 2011): the same key and counter give the same numbers on
//! every machine, in any order, from any thread.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox on one counter: four 32-bit numbers.
#[inline(always)]
pub fn philox(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let (mut k, mut c) = (key, counter);
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(KEY_STEPS[0]), k[1].wrapping_add(KEY_STEPS[1])];
    }
    c
}

/// Four uniform numbers in `[0, 1)` with 24 random bits each: elements `4 block .. 4 block + 4` of
/// the stream. The key is the seed, the counter is `[block, stream, step low, step high]`.
#[inline(always)]
pub fn uniform_block(seed: u64, step: u64, stream: u32, block: u32) -> [f32; 4] {
    let key = [seed as u32, (seed >> 32) as u32];
    let counter = [block, stream, step as u32, (step >> 32) as u32];
    philox(key, counter).map(|bits| (bits >> 8) as f32 * (1.0 / 16_777_216.0))
}

/// Element `index` of a stream: see [`uniform_block`]. A stream has 2^34 elements.
pub fn uniform(seed: u64, step: u64, stream: u32, index: u64) -> f32 {
    uniform_block(seed, step, stream, (index / 4) as u32)[(index % 4) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // The known-answer vectors published with Random123 (kat_vectors, philox 4x32 10).
        assert_eq!(philox([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 2], [u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0xa409_3822, 0x299f_31d0],
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_numbers_are_uniform() {
        let n = 100_000;
        let numbers: Vec<f64> = (0..n).map(|i| f64::from(uniform(7, 3, 1, i))).collect();
        let mean = numbers.iter().sum::<f64>() / n as f64;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        // Four standard errors of the mean and of the variance.
        assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0f64 / n as f64).sqrt(), "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 4.0 * (1.0 / 180.0f64 / n as f64).sqrt());
    }
}
