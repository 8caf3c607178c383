//! One epoch: which samples, in which order, in which batches.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::collate::Lengths;
use crate::random::{Purpose, SampleRng};

/// The order of all samples in an epoch.
///
/// Shuffled, it is Fisher and Yates' permutation of 0, 1, ... drawn by Philox 4x32-10 under the seed
/// and the epoch: the same on every platform, and known without running the epochs before.
pub(crate) fn order(len: usize, shuffle: bool, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    if shuffle {
        SampleRng::keyed(Purpose::Shuffle, seed, epoch, 0).shuffle(&mut order);
    }
    order
}

/// The order of samples that go on where those before end: each of `rows` goes through a part of its own,
/// all of one length, and a batch has the next sample of each. What is left behind the last part is left out.
pub(crate) fn rows(len: usize, rows: usize) -> Vec<usize> {
    let each = len / rows.max(1);
    (0..each).flat_map(|at| (0..rows).map(move |row| row * each + at)).collect()
}

/// How an epoch is cut into batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batching {
    pub(crate) samples: usize,
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
}

impl Batching {
    pub(crate) fn batches(self) -> usize {
        if self.drop_last {
            self.samples / self.batch_size
        } else {
            self.samples.div_ceil(self.batch_size)
        }
    }

    /// The places, in the order, of a batch.
    fn range(self, batch: usize) -> Range<usize> {
        let start = batch * self.batch_size;
        start..(start + self.batch_size).min(self.samples)
    }
}

/// Puts an epoch's samples of different lengths into batches of one bucket each: the batches in a row, and
/// where each ends.
///
/// In the order of `order` each sample goes to its bucket, and a bucket that is full is a batch; what is
/// left at the end are short ones. Shuffled, the batches come in an order of their own.
pub(crate) fn bucketed(
    order: &[usize],
    lengths: &Lengths,
    batching: Batching,
    rng: Option<SampleRng>,
) -> (Vec<usize>, Vec<BucketBatch>) {
    let mut open: Vec<Vec<usize>> = vec![Vec::new(); lengths.bounds.len()];
    let mut batches: Vec<(usize, Vec<usize>)> = Vec::new();
    for &sample in order {
        let bucket = lengths.buckets[sample];
        open[bucket].push(sample);
        if open[bucket].len() == batching.batch_size {
            batches.push((bucket, std::mem::take(&mut open[bucket])));
        }
    }
    if !batching.drop_last {
        let rest = open.into_iter().enumerate().filter(|(_, samples)| !samples.is_empty());
        batches.extend(rest);
    }
    if let Some(mut rng) = rng {
        rng.shuffle(&mut batches);
    }
    let mut all = Vec::with_capacity(order.len());
    let places = batches.into_iter().map(|(bucket, samples)| {
        let start = all.len();
        all.extend(samples);
        BucketBatch { samples: start..all.len(), length: lengths.bounds[bucket] }
    });
    let places = places.collect();
    (all, places)
}

/// A batch of samples of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct BucketBatch {
    samples: Range<usize>,
    /// The positions that they are padded to.
    length: usize,
}

/// An epoch that is under way, shared by the loader, its threads and the batches.
#[derive(Debug)]
pub(crate) struct EpochPlan {
    pub(crate) epoch: u64,
    /// Tells this run apart from others of the same epoch.
    pub(crate) run: u64,
    pub(crate) first_batch: usize,
    batching: Batching,
    order: Vec<usize>,
    /// The batches, where samples vary in length; else they follow from `batching`.
    bucketed: Option<Vec<BucketBatch>>,
    cancelled: AtomicBool,
}

impl EpochPlan {
    pub(crate) fn new(
        epoch: u64,
        run: u64,
        first_batch: usize,
        batching: Batching,
        order: Vec<usize>,
        bucketed: Option<Vec<BucketBatch>>,
    ) -> Self {
        let cancelled = AtomicBool::new(false);
        Self { epoch, run, first_batch, batching, order, bucketed, cancelled }
    }

    pub(crate) fn batches(&self) -> usize {
        self.bucketed.as_ref().map_or_else(|| self.batching.batches(), Vec::len)
    }

    /// The positions that a batch is padded to, where samples vary in length.
    pub(crate) fn length(&self, batch: usize) -> Option<usize> {
        self.bucketed.as_ref().map(|batches| batches[batch].length)
    }

    /// The samples of a batch, in its order.
    pub(crate) fn samples(&self, batch: usize) -> &[usize] {
        match &self.bucketed {
            Some(batches) => &self.order[batches[batch].samples.clone()],
            None => &self.order[self.batching.range(batch)],
        }
    }

    /// Nobody wants the remaining batches. The flag alone matters, so no ordering is needed.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_never_changes() {
        let first = order(10, true, 42, 0);
        // Written down once: the same on every platform and in every version.
        assert_eq!(first, [7, 8, 4, 1, 3, 5, 2, 6, 9, 0]);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        assert_ne!(first, order(10, true, 42, 1));
        assert_ne!(first, order(10, true, 43, 0));
        assert_eq!(order(3, false, 42, 5), [0, 1, 2]);
    }

    #[test]
    fn each_row_goes_through_a_part_of_its_own() {
        assert_eq!(rows(11, 3), [0, 3, 6, 1, 4, 7, 2, 5, 8]);
        assert_eq!(rows(4, 1), [0, 1, 2, 3]);
        assert_eq!(rows(2, 2), [0, 1]);
    }

    #[test]
    fn batches_cover_the_samples() {
        let batching = Batching { samples: 10, batch_size: 4, drop_last: false };
        assert_eq!(batching.batches(), 3);
        assert_eq!((0..3).map(|b| batching.range(b)).collect::<Vec<_>>(), [0..4, 4..8, 8..10]);
        assert_eq!(Batching { drop_last: true, ..batching }.batches(), 2);
    }
}
