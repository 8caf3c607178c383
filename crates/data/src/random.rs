//! Random numbers that depend on nothing but their key.
//!
//! Philox 4x32-10 ([`onestep_base::philox`]) turns a 64-bit key and a 128-bit counter into 128 random
//! bits. The key is the user's seed; the counter names the purpose, the epoch and the sample. So a sample is augmented in the same way
//! whichever worker reads it, on every platform, and an epoch can be resumed anywhere.

use onestep_base::hash::Fnv1a;
use onestep_base::philox::philox;

/// Makes a number of what a sample is, the same on every platform and in every version: FNV-1a.
pub(crate) struct KeyHasher(Fnv1a);

impl KeyHasher {
    pub(crate) fn new() -> Self {
        Self(Fnv1a::new())
    }

    /// Adds a part. Parts of any length should be told apart by the caller.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.add(bytes);
    }

    pub(crate) fn finish(self) -> u64 {
        self.0.finish()
    }
}

/// Spreads a sample's key evenly over all numbers, by a block of Philox.
pub(crate) fn spread(key: u64, seed: u64) -> u64 {
    let mut rng = SampleRng::keyed(Purpose::Split, seed, 0, key);
    (u64::from(rng.next_u32()) << 32) | u64::from(rng.next_u32())
}

/// What a stream of numbers is for; streams of different purposes never overlap.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Shuffle = 1,
    /// The augmentation of one sample.
    Augment = 2,
    /// The division of a data set into parts.
    Split = 3,
    /// The partners of a data set's samples.
    Pair = 4,
    /// The order of an epoch's batches, where samples vary in length.
    Batches = 5,
    /// How the samples of one batch are mixed.
    Mix = 6,
}

/// A stream of random numbers for one sample in one epoch.
///
/// ```
/// use onestep_data::SampleRng;
///
/// let mut one = SampleRng::new(7, 3, 1200);
/// let mut same = SampleRng::new(7, 3, 1200);
/// assert_eq!(one.next_u32(), same.next_u32());
/// assert!((0.0..1.0).contains(&one.uniform()));
/// assert!(one.below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct SampleRng {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
}

impl SampleRng {
    /// The stream for `sample` in `epoch` under `seed`.
    ///
    /// The counter is `[block, purpose and sample's high bits, sample's low bits, epoch]`; epochs
    /// repeat after 2^32.
    pub fn new(seed: u64, epoch: u64, sample: u64) -> Self {
        Self::keyed(Purpose::Augment, seed, epoch, sample)
    }

    pub(crate) fn keyed(purpose: Purpose, seed: u64, epoch: u64, item: u64) -> Self {
        let tag = ((purpose as u32) << 24) ^ (item >> 32) as u32;
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, tag, item as u32, epoch as u32],
            block: [0; 4],
            used: 4,
        }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.block = philox(self.key, self.counter);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | u64::from(self.next_u32()) << 32
    }

    /// A number from 0 up to, not including, 1, in steps of 2^-24.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// A whole number below `bound`, each equally likely (Lemire, *Fast random integer generation
    /// in an interval*, 2019). Gives 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        if bound == 0 {
            return 0;
        }
        let rejected = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= rejected {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts `items` into a random order (Fisher and Yates, from the end).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = SampleRng::new(1, 0, 0);
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[rng.below(7)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn streams_differ_by_purpose_epoch_sample_and_seed() {
        let first =
            |purpose, seed, epoch, item| SampleRng::keyed(purpose, seed, epoch, item).next_u64();
        let all = [
            first(Purpose::Augment, 1, 0, 0),
            first(Purpose::Shuffle, 1, 0, 0),
            first(Purpose::Augment, 2, 0, 0),
            first(Purpose::Augment, 1, 1, 0),
            first(Purpose::Augment, 1, 0, 1),
            first(Purpose::Augment, 1, 0, 1 << 32),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
