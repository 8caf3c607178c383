//! The settings of a loader.

use std::sync::Arc;
use std::time::Duration;

use onestep_memory::{MemoryManager, StagingPool};

use super::batch::layout;
use super::collate::Collation;
use super::fill::Filler;
use super::mixing::{Mixed, Mixing};
use super::order::Batching;
use super::workers::Workers;
use super::{DataLoader, LoaderStatistics, Mode};
use crate::{DataError, Dataset, Fields, Pipeline};

/// The most worker threads that a loader starts.
pub const MOST_WORKERS: usize = 256;

/// The most batches that are prepared ahead, and the most that a caller keeps.
pub const MOST_SLOTS: usize = 4096;

fn check_slots(setting: &'static str, value: usize) -> Result<(), DataError> {
    match value {
        0 => Err(DataError::setting(setting, "at least 1", value)),
        1..=MOST_SLOTS => Ok(()),
        _ => Err(DataError::setting(setting, format!("at most {MOST_SLOTS}"), value)),
    }
}

/// Makes a [`DataLoader`].
#[derive(Clone)]
pub struct DataLoaderBuilder {
    dataset: Arc<dyn Dataset>,
    batch_size: usize,
    workers: usize,
    prefetch: Option<usize>,
    in_flight: usize,
    shuffle: bool,
    seed: u64,
    drop_last: bool,
    training: bool,
    pipeline: Pipeline,
    collation: Collation,
    mixing: Option<Mixing>,
    slot_timeout: Duration,
}

impl DataLoaderBuilder {
    pub(crate) fn new(dataset: Arc<dyn Dataset>) -> Self {
        Self {
            dataset,
            batch_size: 32,
            workers: 2,
            prefetch: None,
            in_flight: 3,
            shuffle: false,
            seed: 0,
            drop_last: false,
            training: false,
            pipeline: Pipeline::new(),
            collation: Collation::default(),
            mixing: None,
            slot_timeout: Duration::from_secs(120),
        }
    }

    /// Samples in a batch; 32 unless set.
    #[must_use]
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.batch_size = samples;
        self
    }

    /// Worker threads; 2 unless set. With 0 the caller's own thread fills each batch when it is
    /// asked for.
    #[must_use]
    pub fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self
    }

    /// Batches that are prepared beyond those that the caller has; as many as there are workers,
    /// and 2 at least, unless set.
    #[must_use]
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.prefetch = Some(batches);
        self
    }

    /// Batches that the caller keeps at the same time (steps that have not completed); 3 unless set.
    /// The staging ring has a slot for each of these and for each prefetched one.
    #[must_use]
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.in_flight = batches;
        self
    }

    /// Whether each epoch has an order of its own; off unless set.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// The seed of the order and of random transforms; 0 unless set.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether a last batch that is not full is left out; off unless set.
    #[must_use]
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Whether the pipeline's steps for training are applied; off unless set.
    #[must_use]
    pub fn training(mut self, training: bool) -> Self {
        self.training = training;
        self
    }

    /// What the workers do to each sample's inputs; nothing unless set.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = pipeline;
        self
    }

    /// How fields that vary in length become a batch; unless set, all are padded to the longest that
    /// their shape allows.
    #[must_use]
    pub fn collate(mut self, collation: Collation) -> Self {
        self.collation = collation;
        self
    }

    /// What mixes the samples of a batch, for training alone; nothing unless set.
    #[must_use]
    pub fn mix(mut self, mixing: Mixing) -> Self {
        self.mixing = Some(mixing);
        self
    }

    /// How long to wait when every slot is held by the caller, before that is an error; two minutes
    /// unless set.
    #[must_use]
    pub fn slot_timeout(mut self, timeout: Duration) -> Self {
        self.slot_timeout = timeout;
        self
    }

    /// What a batch will have of each sample: the data set's fields, what collation adds to them, and
    /// probabilities in place of labels that are mixed.
    ///
    /// # Errors
    /// [`DataError::Field`] and [`DataError::Setting`] for fields that cannot be collated or mixed so.
    pub fn fields(&self) -> Result<Fields, DataError> {
        let (fields, mixed) = self.arrange()?;
        Ok(mixed.map_or(fields, |mixed| mixed.fields))
    }

    /// The fields that are collated, and what mixing makes of them.
    fn arrange(&self) -> Result<(Fields, Option<Mixed>), DataError> {
        let fields = self.collation.fields(&self.dataset.fields());
        fields.check()?;
        let mixing = self.mixing.filter(|_| self.training);
        let mixed = mixing.map(|mixing| mixing.bind(&fields)).transpose()?;
        Ok((fields, mixed))
    }

    /// Checks the settings, takes the staging memory and starts the threads.
    ///
    /// # Errors
    /// [`DataError::Empty`] for a data set without samples, [`DataError::Setting`] for a setting (or a
    /// pipeline) that does not suit, [`DataError::Memory`] where `memory` has no room for the slots,
    /// [`DataError::Thread`] where a thread cannot be started.
    pub fn build(mut self, memory: &MemoryManager) -> Result<DataLoader, DataError> {
        self.check()?;
        // No batch is larger than the data set, so no slot need be.
        self.batch_size = self.batch_size.min(self.dataset.len());
        let single = self.dataset.fields();
        let lengths = self.collation.plan(self.dataset.as_ref())?.map(Arc::new);
        let (fields, mixed) = self.arrange()?;
        let fields = mixed.as_ref().map_or(fields, |mixed| mixed.fields.clone());
        let steps = self.pipeline.steps_for(&single, self.training)?;
        let slots = self.prefetch.unwrap_or(self.workers.max(2)) + self.in_flight;
        let layout = layout(self.batch_size, &fields)?;
        let pool = StagingPool::new(memory, slots, &layout)?;
        // Of data that goes on, each row has as many samples as the others.
        let goes_on = self.dataset.goes_on();
        let samples = self.dataset.len();
        let left_over = if goes_on { samples % self.batch_size } else { 0 };
        let batching = Batching {
            samples: samples - left_over,
            batch_size: self.batch_size,
            drop_last: self.drop_last,
        };
        let filler = Arc::new(Filler {
            name: self.dataset.name().to_owned(),
            dataset: self.dataset,
            steps,
            seed: self.seed,
            single,
            fields,
            added: self.collation.added(),
            mixed,
        });
        let mode = match self.workers {
            0 => Mode::Caller(filler.scratch(self.batch_size)),
            workers => Mode::Workers(Workers::start(&filler, &pool, workers, self.batch_size)?),
        };
        Ok(DataLoader {
            filler,
            pool,
            mode,
            batching,
            lengths,
            shuffle: self.shuffle,
            slot_timeout: self.slot_timeout,
            runs: 0,
            statistics: LoaderStatistics::default(),
        })
    }

    /// Refuses settings that no machine can serve, by their names: more threads or slots would only end
    /// the run that asks for them.
    ///
    /// [`build`](Self::build) checks this too; it is for refusing a configuration before there is data.
    ///
    /// # Errors
    /// [`DataError::Setting`] for more than [`MOST_WORKERS`] workers, for a prefetch that is 0 or above
    /// [`MOST_SLOTS`].
    pub fn check_threads(workers: usize, prefetch: Option<usize>) -> Result<(), DataError> {
        if workers > MOST_WORKERS {
            return Err(DataError::setting("workers", format!("at most {MOST_WORKERS}"), workers));
        }
        check_slots("prefetch", prefetch.unwrap_or(1))
    }

    fn check(&self) -> Result<(), DataError> {
        Self::check_threads(self.workers, self.prefetch)?;
        check_slots("in_flight", self.in_flight)?;
        let name = self.dataset.name();
        if self.dataset.is_empty() {
            return Err(DataError::Empty { dataset: name.to_owned() });
        }
        self.dataset.fields().check()?;
        if self.batch_size == 0 {
            return Err(DataError::setting("batch size", "at least 1", self.batch_size));
        }
        let samples = self.dataset.len();
        if self.drop_last && self.batch_size > samples {
            let wanted =
                format!("at most the {samples} samples of {name}, as a short batch is left out");
            return Err(DataError::setting("batch size", wanted, self.batch_size));
        }
        Ok(())
    }
}

impl std::fmt::Debug for DataLoaderBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataLoaderBuilder")
            .field("dataset", &self.dataset.name())
            .field("batch_size", &self.batch_size)
            .field("workers", &self.workers)
            .field("prefetch", &self.prefetch)
            .field("in_flight", &self.in_flight)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .field("drop_last", &self.drop_last)
            .field("training", &self.training)
            .field("pipeline", &self.pipeline.to_string())
            .finish_non_exhaustive()
    }
}
