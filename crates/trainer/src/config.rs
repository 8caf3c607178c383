//! The settings of a training run.

use std::collections::BTreeMap;

use onestep_data::{Collation, MOST_SLOTS, MOST_WORKERS, Mixing, Pipeline};
use onestep_layers::LossSpec;
use onestep_optimizer::{Averaging, Clip, Grouping, Optimizer, OptimizerSpec, ScheduleSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TrainerError;
use crate::device::MOST_THREADS;
use crate::metrics::{CustomMetric, MOST_METRICS, Metric, MetricSpec, Monitor};
use crate::program::of_probabilities;

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
    /// Steps in an epoch of a loop of one's own around
    /// [`Trainer::train_batch`](crate::Trainer::train_batch), for schedules that go by epochs or by
    /// the length of the run; `fit` knows them from its data. Default none.
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
    /// Transforms of the inputs, in the text form of [`Pipeline`], such as `crop=4,flip=0.5`;
    /// default none.
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
    /// Whether running statistics of the names in `freeze` stay as they are too; default false.
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

/// How fields that vary in length become batches. In training samples of one bucket share a batch, which
/// is padded to its bound; evaluation and prediction keep the order and pad all to the longest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buckets {
    /// Buckets of up to so many positions each, in rising order; what is longer goes into a last one;
    /// default none.
    pub bounds: Vec<usize>,
    /// The name of an input u8 `[length]`, 1 where a sample has a position and 0 where it is padded;
    /// default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// The name of an input i32 `[]`, how many positions a sample has; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}

impl Buckets {
    pub(crate) fn collation(&self, training: bool) -> Collation {
        let bounds: &[usize] = if training { &self.bounds } else { &[] };
        let mut collation = Collation::buckets(bounds);
        if let Some(mask) = &self.mask {
            collation = collation.with_mask(mask);
        }
        if let Some(length) = &self.length {
            collation = collation.with_length(length);
        }
        collation
    }
}

/// When training stops before its last epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs in a row without improvement after which training stops; default 5.
    pub patience: usize,
    /// What counts as an improvement must be larger than this; default 0.
    pub min_delta: f64,
    /// What is watched; default [`TrainerConfig::monitor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Whether the best epoch's weights are used when training has ended; default true. Training
    /// that is resumed goes on from the last step's all the same.
    pub restore_best: bool,
}

impl Default for EarlyStoppingConfig {
    fn default() -> Self {
        EarlyStoppingConfig { patience: 5, min_delta: 0.0, monitor: None, restore_best: true }
    }
}

impl Default for TrainerConfig {
    fn default() -> Self {
        TrainerConfig {
            epochs: 10,
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

/// The most steps in flight: tickets of older ones would expire.
const MOST_IN_FLIGHT: usize = 16;

impl TrainerConfig {
    /// The JSON schema of the settings, with a description of each.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(TrainerConfig).to_value()
    }

    /// Checks the settings by themselves; whether they suit a model and data shows later.
    ///
    /// # Errors
    /// [`TrainerError::Option`] for the first setting out of its range, and the errors of the
    /// optimizer, the schedule and the transforms.
    pub fn validate(&self) -> Result<(), TrainerError> {
        let counts = [
            ("epochs", self.epochs),
            ("steps_per_epoch", self.steps_per_epoch.unwrap_or(1)),
            ("batch_size", self.batch_size),
            ("steps_in_flight", self.steps_in_flight),
            ("prefetch", self.prefetch.unwrap_or(1)),
            ("evaluation_batch_size", self.evaluation_batch_size()),
            ("top_k", self.top_k),
            ("accumulate", self.accumulate),
            ("save_every_steps", self.save_every_steps.map_or(1, |n| n.min(1) as usize)),
            ("memory_budget", self.memory_budget.unwrap_or(1)),
        ];
        if let Some((option, got)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(TrainerError::option(option, "at least 1", got));
        }
        let bounds = [
            ("steps_in_flight", self.steps_in_flight, MOST_IN_FLIGHT),
            ("threads", self.threads, MOST_THREADS),
            ("workers", self.workers, MOST_WORKERS),
            ("prefetch", self.prefetch.unwrap_or(1), MOST_SLOTS),
        ];
        if let Some((option, got, most)) = bounds.into_iter().find(|(_, got, most)| got > most) {
            return Err(TrainerError::option(option, format!("at most {most}"), got));
        }
        if let Some(stopping) = &self.early_stopping {
            stopping.validate()?;
            if stopping.restore_best && self.averaging.is_some() {
                let wanted = "false with an average of the weights, which it cannot put back";
                return Err(TrainerError::option("early_stopping.restore_best", wanted, true));
            }
        }
        self.check_mix()?;
        self.check_metrics()?;
        self.schedule.validate()?;
        self.optimizer()?;
        self.pipeline()?;
        Ok(())
    }

    /// The same with one metric of one's own more.
    #[must_use]
    pub fn with_metric(mut self, metric: impl Metric + 'static) -> Self {
        self.metrics.push(CustomMetric::new(metric).into());
        self
    }

    fn check_mix(&self) -> Result<(), TrainerError> {
        let Some(mixing) = self.mix else { return Ok(()) };
        mixing.check()?;
        if of_probabilities(&self.loss).is_some() {
            return Ok(());
        }
        // With a weight a class or a label that does not count a batch of labels would be divided by
        // something else than one of probabilities.
        let wanted = "none, or the loss cross_entropy of labels, without weight and ignore_index: mixed \
                      labels are probabilities of classes";
        let got = format!("{mixing} with the loss {}", self.loss.type_name());
        Err(TrainerError::option("mix", wanted, got))
    }

    fn check_metrics(&self) -> Result<(), TrainerError> {
        self.metrics.iter().try_for_each(MetricSpec::check)?;
        let names: Vec<String> = self.metrics.iter().map(Metric::name).collect();
        if names.len() > MOST_METRICS {
            let wanted = format!("at most {MOST_METRICS}");
            return Err(TrainerError::option("metrics", wanted, names.len()));
        }
        let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
        match twice {
            Some((_, name)) => {
                Err(TrainerError::option("metrics", "each name once", format!("{name} twice")))
            }
            None => Ok(()),
        }
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
}

impl EarlyStoppingConfig {
    fn validate(&self) -> Result<(), TrainerError> {
        if self.min_delta.is_finite() && self.min_delta >= 0.0 {
            return Ok(());
        }
        let wanted = "a finite number of at least 0";
        Err(TrainerError::option("early_stopping.min_delta", wanted, self.min_delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_json() {
        let config = TrainerConfig {
            clip: Some(Clip::Norm(0.5)),
            early_stopping: Some(EarlyStoppingConfig::default()),
            augmentation: "crop=1".into(),
            mix: Some("mixup=0.2".parse().unwrap()),
            ..TrainerConfig::default()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainerConfig>(&text).unwrap(), config);
    }

    #[test]
    fn bad_settings_are_named() {
        let default = TrainerConfig::default;
        let mix = |text: &str| text.parse::<Mixing>().unwrap();
        let stopping = EarlyStoppingConfig { min_delta: f64::NAN, ..Default::default() };
        for (config, wanted) in [
            (
                TrainerConfig { batch_size: 0, ..default() },
                "batch_size: expected at least 1, got 0",
            ),
            (TrainerConfig { epochs: 0, ..default() }, "epochs: expected at least 1, got 0"),
            (TrainerConfig { steps_in_flight: 99, ..default() }, "steps_in_flight: expected at"),
            (TrainerConfig { workers: 100_000, ..default() }, "workers: expected at most"),
            (
                TrainerConfig { threads: 100_000, ..default() },
                "threads: expected at most 1024, got",
            ),
            (TrainerConfig { prefetch: Some(1 << 60), ..default() }, "prefetch: expected at most"),
            (TrainerConfig { weight_decay: Some(-1.0), ..default() }, "weight_decay"),
            (TrainerConfig { clip: Some(Clip::Norm(0.0)), ..default() }, "norm"),
            (TrainerConfig { augmentation: "spin".into(), ..default() }, "spin"),
            (
                TrainerConfig {
                    mix: Some(mix("cutmix")),
                    loss: "mse".parse().unwrap(),
                    ..default()
                },
                "mix: expected none, or the loss cross_entropy of labels",
            ),
            (TrainerConfig { mix: Some(mix("mixup=0")), ..default() }, "alpha of the mixing"),
            (TrainerConfig { early_stopping: Some(stopping), ..default() }, "min_delta"),
            (TrainerConfig { save_every_steps: Some(0), ..default() }, "save_every_steps"),
        ] {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let error = serde_json::from_str::<TrainerConfig>(r#"{"epoch": 3}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
    }
}
