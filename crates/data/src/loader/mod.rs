//! Batches, prepared ahead of the step that needs them.

mod batch;
mod builder;
mod collate;
mod fill;
mod mixing;
mod order;
mod workers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use onestep_memory::{MemoryError, Staged, StagingPool};

pub use batch::Batch;
pub use builder::{DataLoaderBuilder, MOST_SLOTS, MOST_WORKERS};
pub use collate::Collation;
pub use mixing::Mixing;
#[cfg(test)]
pub(crate) use mixing::{Draw, mix_labels};

use crate::random::{Purpose, SampleRng};
use crate::{DataError, Dataset, Fields};
use collate::Lengths;
use fill::{Filler, Scratch};
use order::{Batching, BucketBatch, EpochPlan, bucketed, order, rows};
use workers::Workers;

/// What a loader has done since it was built or since its statistics were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoaderStatistics {
    /// Batches delivered.
    pub batches: u64,
    /// Samples in them.
    pub samples: u64,
    /// How long the consumer has waited for batches, all together.
    pub stall: Duration,
}

/// Reads a data set in batches, on threads of its own, into a ring of staging slots.
///
/// Worker threads fill the batches that come next while the caller uses the ones it has. Batches
/// arrive in order, each once; when all slots are taken the workers wait. The threads live as long
/// as the loader and nothing is allocated for a batch. The order of an epoch and every random
/// transform follow from seed, epoch and sample alone, so neither the number of workers nor a
/// resumption changes what arrives.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{DataError, DataLoader, digits};
/// use onestep_memory::MemoryManager;
///
/// let memory = MemoryManager::host();
/// let mut loader = DataLoader::builder(Arc::new(digits()?))
///     .batch_size(64)
///     .shuffle(true)
///     .seed(7)
///     .build(&memory)?;
///
/// let mut samples = 0;
/// for batch in loader.epoch(0) {
///     let batch = batch?;
///     assert_eq!(batch.input().shape()[1..], [1, 8, 8]);
///     samples += batch.size();
/// }
/// assert_eq!(samples, 1797); // 28 batches of 64 and one of 5
/// assert_eq!(loader.statistics().batches, 29);
/// # Ok::<(), DataError>(())
/// ```
///
/// # Errors in an epoch
/// When a sample cannot be read, or its reader panics, the batches before it are still delivered;
/// then comes the error, which names the sample, and the epoch is over. The loader stays usable.
pub struct DataLoader {
    filler: Arc<Filler>,
    pool: Arc<StagingPool>,
    mode: Mode,
    batching: Batching,
    /// Where samples vary in length.
    lengths: Option<Arc<Lengths>>,
    shuffle: bool,
    slot_timeout: Duration,
    runs: u64,
    statistics: LoaderStatistics,
}

/// Who fills the batches.
enum Mode {
    Caller(Scratch),
    Workers(Workers),
}

impl DataLoader {
    /// A loader with default settings, to be changed and built.
    pub fn builder(dataset: Arc<dyn Dataset>) -> DataLoaderBuilder {
        DataLoaderBuilder::new(dataset)
    }

    /// All batches of an epoch, counted from 0. The epoch decides on the order and the augmentation.
    pub fn epoch(&mut self, epoch: u64) -> Epoch<'_> {
        self.begin(epoch, 0)
    }

    /// The batches of an epoch from number `first_batch` on: what is left of it when `first_batch`
    /// batches were used before an interruption.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the epoch has fewer batches.
    pub fn epoch_from(&mut self, epoch: u64, first_batch: usize) -> Result<Epoch<'_>, DataError> {
        let batches = self.batches_per_epoch();
        if first_batch > batches {
            let wanted = format!("at most {batches}, the batches of an epoch");
            return Err(DataError::setting("first batch", wanted, first_batch));
        }
        Ok(self.begin(epoch, first_batch))
    }

    fn begin(&mut self, epoch: u64, first_batch: usize) -> Epoch<'_> {
        self.runs += 1;
        let (order, buckets) = self.arrangement(epoch);
        let plan = EpochPlan::new(epoch, self.runs, first_batch, self.batching, order, buckets);
        let plan = Arc::new(plan);
        if let Mode::Workers(workers) = &mut self.mode {
            workers.begin(&plan);
        }
        Epoch { loader: self, plan, next: first_batch }
    }

    /// The samples of an epoch in the order in which they are read.
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        self.arrangement(epoch).0
    }

    /// The samples of one batch of an epoch; none past the end.
    pub fn samples(&self, epoch: u64, batch: usize) -> Vec<usize> {
        let (order, buckets) = self.arrangement(epoch);
        let plan = EpochPlan::new(epoch, 0, 0, self.batching, order, buckets);
        if batch < plan.batches() { plan.samples(batch).to_vec() } else { Vec::new() }
    }

    fn arrangement(&self, epoch: u64) -> (Vec<usize>, Option<Vec<BucketBatch>>) {
        let seed = self.filler.seed;
        let order = match self.filler.dataset.goes_on() {
            true => rows(self.batching.samples, self.batching.batch_size),
            false => order(self.batching.samples, self.shuffle, seed, epoch),
        };
        let Some(lengths) = &self.lengths else { return (order, None) };
        let rng = self.shuffle.then(|| SampleRng::keyed(Purpose::Batches, seed, epoch, 0));
        let (order, buckets) = bucketed(&order, lengths, self.batching, rng);
        (order, Some(buckets))
    }

    /// The number of batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        let Some(lengths) = &self.lengths else { return self.batching.batches() };
        let counts = (0..lengths.bounds.len())
            .map(|bucket| lengths.buckets.iter().filter(|place| **place == bucket).count());
        counts.map(|samples| Batching { samples, ..self.batching }.batches()).sum()
    }

    /// How many samples the batches of an epoch have, and to how many positions they are padded where
    /// samples vary in length: each once, full batches first.
    pub fn shapes(&self) -> Vec<(usize, Option<usize>)> {
        let of = |samples: usize, length: Option<usize>| {
            let Batching { batch_size, drop_last, .. } = self.batching;
            let full = (samples >= batch_size).then_some((batch_size, length));
            let rest = samples % batch_size;
            [full, (rest > 0 && !drop_last).then_some((rest, length))]
        };
        let Some(lengths) = &self.lengths else {
            return of(self.batching.samples, None).into_iter().flatten().collect();
        };
        let buckets = lengths.bounds.iter().enumerate();
        let all: Vec<_> = buckets
            .map(|(bucket, &bound)| {
                let samples = lengths.buckets.iter().filter(|place| **place == bucket).count();
                of(samples, Some(bound))
            })
            .collect();
        let part = |place: usize| all.iter().filter_map(move |parts| parts[place]);
        part(0).chain(part(1)).collect()
    }

    /// The number of samples in a full batch.
    pub fn batch_size(&self) -> usize {
        self.batching.batch_size
    }

    /// The data set.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.filler.dataset
    }

    /// What a batch has of each sample.
    pub fn fields(&self) -> &Fields {
        &self.filler.fields
    }

    /// Batches delivered and time waited.
    pub fn statistics(&self) -> LoaderStatistics {
        self.statistics
    }

    /// Gives the statistics and starts them anew.
    pub fn take_statistics(&mut self) -> LoaderStatistics {
        std::mem::take(&mut self.statistics)
    }

    fn staged(&mut self, plan: &EpochPlan, batch: usize) -> Result<Staged, DataError> {
        let scratch = match &mut self.mode {
            Mode::Workers(workers) => return workers.next(plan, batch, self.slot_timeout),
            Mode::Caller(scratch) => scratch,
        };
        let slot = self.pool.acquire_timeout(self.slot_timeout);
        let mut slot = slot.map_err(|error| match error {
            MemoryError::TimedOut { waited } => {
                let slots = self.pool.statistics().slots;
                DataError::Stalled { dataset: self.filler.name.clone(), slots, waited }
            }
            error => error.into(),
        })?;
        self.filler.fill(plan, batch, &mut slot, scratch)?;
        Ok(slot.freeze())
    }
}

impl std::fmt::Debug for DataLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataLoader")
            .field("dataset", &self.filler.name)
            .field("batching", &self.batching)
            .field("shuffle", &self.shuffle)
            .field("pool", &self.pool)
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}

/// The batches of one epoch, in order. Dropping it early ends the epoch.
#[derive(Debug)]
pub struct Epoch<'a> {
    loader: &'a mut DataLoader,
    plan: Arc<EpochPlan>,
    next: usize,
}

impl Epoch<'_> {
    /// What the loader has delivered and waited so far; an epoch borrows it.
    pub fn statistics(&self) -> LoaderStatistics {
        self.loader.statistics
    }
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        if index >= self.plan.batches() {
            return None;
        }
        self.next += 1;
        let start = Instant::now();
        let staged = self.loader.staged(&self.plan, index);
        let statistics = &mut self.loader.statistics;
        statistics.stall += start.elapsed();
        let batch = staged
            .and_then(|staged| Batch::new(staged, &self.loader.filler.fields, &self.plan, index));
        match &batch {
            Ok(batch) => {
                statistics.batches += 1;
                statistics.samples += batch.size() as u64;
            }
            // An error ends the epoch.
            Err(_) => self.next = self.plan.batches(),
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.batches() - self.next;
        (usize::from(left > 0), Some(left))
    }
}

impl std::iter::FusedIterator for Epoch<'_> {}

impl Drop for Epoch<'_> {
    fn drop(&mut self) {
        if let Mode::Workers(workers) = &mut self.loader.mode {
            workers.cancel();
        }
    }
}
