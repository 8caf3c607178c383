//! How far training has come.

use std::fmt;

use onestep_optimizer::{Leg, ScheduleState};
use serde::{Deserialize, Serialize};

use crate::history::EpochRecord;
use crate::metrics::Meter;
use crate::snapshot::Weights;

/// How far a training run has come: all that is not in the state table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The seed of the run.
    pub seed: u64,
    /// Complete epochs.
    pub epoch: usize,
    /// Batches done in the epoch after those.
    pub batch: usize,
    /// Steps done: updates, however many batches make one.
    pub step: u64,
    /// Batches of the next step whose gradients are there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub accumulated: u64,
    /// The step that the epoch began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epoch_start: Option<u64>,
    /// The loss of the first step.
    pub first_loss: Option<f32>,
    /// The rate of the next step where it follows no schedule, of a [`Learner`](crate::Learner).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) learning_rate: Option<String>,
    /// What batches are cut from, to find the place in an epoch again.
    pub loader: Option<LoaderState>,
    /// What the schedule has seen.
    pub schedule: Option<ScheduleState>,
    /// How many steps the epochs have had.
    #[serde(default)]
    pub legs: Vec<Leg>,
    /// The weights that the model is used with: those of the last step or, after a run that
    /// restored them, those of the best epoch.
    #[serde(default)]
    pub weights: Weights,
    /// What the run used that no file can hold.
    #[serde(default, skip_serializing_if = "OwnCode::is_empty")]
    pub(crate) own: OwnCode,
    /// The sums of the epoch that is not complete.
    pub(crate) meter: Meter,
    /// The complete epochs.
    pub epochs: Vec<EpochRecord>,
}

impl Progress {
    pub(crate) fn new(seed: u64) -> Self {
        Progress {
            seed,
            epoch: 0,
            batch: 0,
            step: 0,
            accumulated: 0,
            epoch_start: None,
            first_loss: None,
            learning_rate: None,
            loader: None,
            schedule: None,
            legs: Vec::new(),
            weights: Weights::Last,
            own: OwnCode::default(),
            meter: Meter::default(),
            epochs: Vec::new(),
        }
    }

    /// Whether the counts can be true together.
    pub(super) fn is_plausible(&self) -> bool {
        // A step may be of many batches.
        let stepped = self.step > 0 || self.accumulated > 0;
        self.epoch == self.epochs.len() && (stepped || self.batch == 0)
    }

    /// A step outside of an epoch is done.
    pub(crate) fn record_step(&mut self, loss: f32) {
        (self.step, self.accumulated) = (self.step + 1, 0);
        self.first_loss.get_or_insert(loss);
    }

    /// The epoch is complete.
    pub(crate) fn end_epoch(&mut self, record: EpochRecord) {
        self.epochs.push(record);
        self.epoch += 1;
        (self.batch, self.epoch_start) = (0, None);
        self.meter = Meter::default();
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Code of a run by the names it goes by: it must be given again to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OwnCode {
    /// An update rule of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) optimizer: Option<String>,
    /// Transforms of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pipeline: Option<String>,
}

impl OwnCode {
    fn is_empty(&self) -> bool {
        *self == OwnCode::default()
    }
}

/// What the batches of an epoch depend on besides the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderState {
    /// The data set's name.
    pub dataset: String,
    /// Its samples.
    pub samples: usize,
    /// Samples in a batch.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
}

impl LoaderState {
    /// The batches of an epoch.
    pub(crate) fn steps_per_epoch(&self) -> usize {
        let (samples, batch) = (self.samples, self.batch_size.max(1));
        if self.drop_last { samples / batch } else { samples.div_ceil(batch) }
    }
}

impl fmt::Display for LoaderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoaderState { dataset, samples, batch_size, shuffle, drop_last } = self;
        write!(f, "{samples} samples of {dataset} in batches of {batch_size}")?;
        write!(f, " (shuffle {shuffle}, drop_last {drop_last})")
    }
}
