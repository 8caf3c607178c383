//! The settings of a training run.

mod checks;
mod parts;

use std::collections::BTreeMap;

use onestep_base::Constructors;
use onestep_data::{Mixing, Pipeline};
use onestep_layers::{LossSpec, Registry};
use onestep_optimizer::{Averaging, Clip, Grouping, Optimizer, OptimizerSpec, ScheduleSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainerError;
use crate::metrics::{CustomMetric, Metric, MetricSpec, Monitor};

pub use parts::{Buckets, EarlyStoppingConfig};

/// The settings of a training run. Every field has a default, so that JSON or TOML needs to name
/// only what differs:
///
/// ```
/// use onestep_trainer::TrainerConfig;
///
/// let text = r#"{ "epochs": 3, "optimizer": "adamw", "schedule": "cosine", "clip": {"norm": 1.0} }"#;
/// let config: TrainerConfig = serde_json::from_str(text)?;
/// assert_eq!((config.epochs, config.batch_size), (3, 32));
/// config.validate().unwrap();
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainerConfig {
    /// Passes through the training data, in all; default 10.
    pub epochs: usize,
    /// Updates of a `fit` in all, in place of `epochs`: it goes through the data as often as they take and
    /// ends where they are done, in the middle of a pass or not; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Updates in an epoch. A `fit` ends an epoch after so many, where the data has more of them: it
    /// validates, and the next epoch has an order of its own. In a loop of one's own around
    /// [`Trainer::train_batch`](crate::Trainer::train_batch) it tells schedules that go by epochs or by the
    /// length of the run what an epoch is. Default none: all of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_epoch: Option<usize>,
    /// Samples in a batch; default 32.
    pub batch_size: usize,
    /// What is minimised; default cross-entropy.
    pub loss: LossSpec,
    /// How parameters are updated; default Adam with PyTorch's options.
    pub optimizer: OptimizerSpec,
    /// How the learning rate changes; it counts epochs or updates, as its `per` says; default not at
    /// all.
    pub schedule: ScheduleSpec,
    /// How options of the optimizer change, by their names, such as `{"weight_decay": "cosine"}`:
    /// `weight_decay`, `momentum`, `beta1`, `beta2` and `alpha`, of which an optimizer has some; default
    /// none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub option_schedules: BTreeMap<String, ScheduleSpec>,
    /// Weight decay in place of the optimizer's own; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Groups of parameters with options of their own; by default biases and the scales and shifts
    /// of normalisations are spared from weight decay.
    pub grouping: Grouping,
    /// How gradients are kept within bounds; default not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// An average of the weights, which evaluation and prediction use while training goes on from the
    /// weights themselves: `{"ema": {"decay": 0.999}}` at each step, or `{"swa": {"start": 5}}` at the
    /// end of each epoch after so many, with `"per": "step"` after each step; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub averaging: Option<Averaging>,
    /// The device: `auto` or one of [`devices`](crate::devices); default `auto`.
    pub device: String,
    /// Threads of a CPU device; 0, the default, takes all processors.
    pub threads: usize,
    /// The most bytes of device memory; default what the device has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_budget: Option<usize>,
    /// Determines initial values, orders, augmentation and dropout; default 0.
    pub seed: u64,
    /// Whether each epoch has an order of its own; default true.
    pub shuffle: bool,
    /// Transforms of the inputs, in the text form of [`Pipeline`], such as `crop=4,flip=0.5`; those of a
    /// program's own by their names; default none.
    pub augmentation: String,
    /// How fields that vary in length become batches of training: samples of about the same length
    /// together, by the `bounds` of buckets, with the names of a `mask` and of a `length` where the model
    /// takes them as inputs; default none, which pads all to the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
    /// What mixes the samples of a training batch with one another, and their labels with them, which
    /// become probabilities of classes: `mixup=ALPHA` or `cutmix=ALPHA`, such as `mixup=0.2`. It takes
    /// cross-entropy of labels, and is never done in evaluation; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub mix: Option<Mixing>,
    /// Threads that prepare batches; 0 does it in the training loop; default 2.
    pub workers: usize,
    /// Batches prepared ahead; default as many as workers, at least 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<usize>,
    /// Batches whose gradients make one update, as one batch of all of them would; norms, clipping and
    /// schedules count updates; default 1.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Whether a last batch that is not full is left out in training; default false.
    pub drop_last: bool,
    /// Steps submitted whose loss has not arrived, at most; default 3.
    pub steps_in_flight: usize,
    /// Whether gradients can be read after a step; costs memory; default false.
    pub keep_gradients: bool,
    /// Paths of layers whose values can be read after a step; costs memory; default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Patterns of parameters that stay as they are, such as `conv*`: no gradient is computed or kept
    /// for them; default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Whether running statistics of the names in `freeze` stay as they are too, and training normalises
    /// by them; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub freeze_statistics: bool,
    /// Samples in a batch of evaluation and prediction; default that of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_batch_size: Option<usize>,
    /// What is measured besides the loss; default none given, which means what suits the loss:
    /// accuracy of classes, the mean absolute error of values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricSpec>,
    /// A sample counts for top-k accuracy when its class is among so many; default 5.
    pub top_k: usize,
    /// What `reduce_on_plateau` and early stopping watch and what counts as the best epoch; it
    /// decides whether higher or lower is better. Default the validation loss.
    pub monitor: Monitor,
    /// When to stop before the last epoch; default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingConfig>,
    /// Steps between checkpoints within an epoch, besides the one at its end; default none. Counts
    /// where a [`Checkpoints`](crate::Checkpoints) callback is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_every_steps: Option<u64>,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        TrainerConfig {
            epochs: 10,
            steps: None,
            steps_per_epoch: None,
            batch_size: 32,
            loss: LossSpec::default(),
            optimizer: OptimizerSpec::default(),
            schedule: ScheduleSpec::default(),
            option_schedules: BTreeMap::new(),
            weight_decay: None,
            grouping: Grouping::no_decay_on_biases_and_norms(),
            clip: None,
            averaging: None,
            device: "auto".to_owned(),
            threads: 0,
            memory_budget: None,
            seed: 0,
            shuffle: true,
            augmentation: String::new(),
            buckets: None,
            mix: None,
            workers: 2,
            prefetch: None,
            accumulate: 1,
            drop_last: false,
            steps_in_flight: 3,
            keep_gradients: false,
            read: Vec::new(),
            freeze: Vec::new(),
            freeze_statistics: false,
            evaluation_batch_size: None,
            metrics: Vec::new(),
            top_k: 5,
            monitor: Monitor::default(),
            early_stopping: None,
            save_every_steps: None,
        }
    }
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl TrainerConfig {
    /// The JSON schema of the settings, with a description of each.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(TrainerConfig).to_value()
    }

    /// The same with one metric of one's own more.
    #[must_use]
    pub fn with_metric(mut self, metric: impl Metric + 'static) -> Self {
        self.metrics.push(CustomMetric::new(metric).into());
        self
    }

    /// The optimizer with its groups, clipping and the weight decay in force.
    ///
    /// # Errors
    /// An option out of its range.
    pub fn optimizer(&self) -> Result<Optimizer, TrainerError> {
        let spec = match self.weight_decay {
            Some(weight_decay) => self.optimizer.clone().with_weight_decay(weight_decay),
            None => self.optimizer.clone(),
        };
        let mut optimizer = Optimizer::from_spec(spec)?.with_grouping(self.grouping.clone())?;
        for (name, schedule) in &self.option_schedules {
            optimizer = optimizer.with_schedule(name, schedule.clone())?;
        }
        Ok(optimizer.with_clip(self.clip)?.with_averaging(self.averaging)?)
    }

    /// The transforms of the inputs.
    ///
    /// # Errors
    /// A text that is not a pipeline.
    pub fn pipeline(&self) -> Result<Pipeline, TrainerError> {
        match self.augmentation.trim() {
            "" => Ok(Pipeline::new()),
            text => Ok(text.parse()?),
        }
    }

    /// What early stopping watches.
    pub(crate) fn early_stopping_monitor(&self) -> Monitor {
        let own = self.early_stopping.as_ref().and_then(|early| early.monitor.clone());
        own.unwrap_or_else(|| self.monitor.clone())
    }

    /// Samples in a batch of evaluation and prediction.
    pub fn evaluation_batch_size(&self) -> usize {
        self.evaluation_batch_size.unwrap_or(self.batch_size)
    }

    /// The same settings with the code of custom losses, optimizers and metrics looked up by their
    /// names.
    ///
    /// # Errors
    /// A name that is not registered, and what a constructor says of its options.
    pub fn resolve(mut self, registry: &Registry) -> Result<Self, TrainerError> {
        self.loss = self.loss.resolve(registry)?;
        self.resolve_optimizers(registry.constructors())?.resolve_metrics(registry.constructors())
    }

    pub(crate) fn resolve_optimizers(mut self, own: &Constructors) -> Result<Self, TrainerError> {
        self.optimizer = self.optimizer.resolve(own)?;
        self.grouping = self.grouping.resolve(own)?;
        Ok(self)
    }

    pub(crate) fn resolve_metrics(mut self, own: &Constructors) -> Result<Self, TrainerError> {
        let metrics = self.metrics.into_iter().map(|metric| metric.resolve(own));
        self.metrics = metrics.collect::<Result<_, TrainerError>>()?;
        Ok(self)
    }

    /// Makes an optimizer part of the settings. Tells the name of a rule that is code, which they cannot
    /// hold.
    pub(crate) fn adopt(&mut self, optimizer: &Optimizer) -> Option<String> {
        let schedules = optimizer.schedules();
        self.option_schedules =
            schedules.map(|(name, schedule)| (name.to_owned(), schedule.clone())).collect();
        self.grouping = optimizer.grouping().clone();
        self.clip = optimizer.clip();
        self.averaging = optimizer.averaging();
        match optimizer.spec() {
            Some(spec) => {
                (self.optimizer, self.weight_decay) = (spec, None);
                None
            }
            None => Some(optimizer.name().to_owned()),
        }
    }
}
