//! Making a trainer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onestep_base::Constructors;
use onestep_data::{DataRecord, Pipeline};
use onestep_engine::{Executor, Footprint, Mode};
use onestep_layers::{Model, Registry};
use onestep_optimizer::{Optimizer, UpdateRule};

use super::flight::Flight;
use super::resume::{forget_figures, refuse_changes, refuse_optimizer, refuse_pipeline};
use super::{ModelSource, Trainer};
use crate::TrainerError;
use crate::checkpoint::{Checkpoint, OwnCode, Progress};
use crate::config::TrainerConfig;
use crate::device::{ExecutorOptions, executor};
use crate::learner::{Learner, program_of};
use crate::metrics::Metric;
use crate::snapshot::Weights;

/// Makes a [`Trainer`].
///
/// ```
/// use onestep_trainer::{ExecutorOptions, Trainer, TrainerError, executor, factory};
///
/// let trainer = Trainer::builder(factory::mlp([4], &[8], 3))
///     .executor(executor("cpu", &ExecutorOptions { threads: 1, ..Default::default() })?)
///     .build()?;
/// assert_eq!(trainer.model().parameter_count(), (4 * 8 + 8) + (8 * 3 + 3));
/// # Ok::<(), TrainerError>(())
/// ```
pub struct TrainerBuilder {
    model: ModelSource,
    config: TrainerConfig,
    executor: Option<Box<dyn Executor>>,
    optimizer: Option<Optimizer>,
    pipeline: Option<Pipeline>,
    checkpoint: Option<Source>,
    weights: Option<Weights>,
    record: Option<DataRecord>,
}

/// Where the state comes from.
enum Source {
    /// A folder, to be read when the model is known.
    Folder(PathBuf),
    /// A checkpoint that model and settings were taken from: the state must be of the same.
    Read(Box<Checkpoint>),
}

impl TrainerBuilder {
    pub(super) fn new(model: ModelSource) -> Self {
        TrainerBuilder {
            model,
            config: TrainerConfig::default(),
            executor: None,
            optimizer: None,
            pipeline: None,
            checkpoint: None,
            weights: None,
            record: None,
        }
    }

    /// The model and settings of a checkpoint, whose state the trainer will start from.
    ///
    /// The files are read once, here, and compared with their hashes before anything is made of them.
    ///
    /// Settings that are [changed](Self::configure) apply from the next step on: the number of
    /// epochs, the batch size, the data's order, the loss, the learning rate and the options of the
    /// optimizer, the schedule, clipping, early stopping, and everything of the machine. Refused, by
    /// their names, are those that cannot apply any more: another seed, fewer epochs than are done,
    /// an optimizer that keeps another state, a learning rate that the schedule does not look at,
    /// and, in the middle of an epoch, what the rest of its batches depends on. An update rule and
    /// transforms of one's own are code, which must be given again.
    ///
    /// # Errors
    /// A missing or broken file.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, TrainerError> {
        Self::load_with(folder, &Registry::new())
    }

    /// The same for a run with layers, losses, optimizers or metrics of one's own, whose code the registry
    /// has by their names.
    ///
    /// # Errors
    /// A missing or broken file, and a name that is not registered.
    pub fn load_with(folder: impl AsRef<Path>, registry: &Registry) -> Result<Self, TrainerError> {
        let checkpoint = Checkpoint::read(folder.as_ref())?;
        let mut builder = Self::new(checkpoint.model()?.resolve(registry)?.into());
        let own = registry.constructors();
        let mut config = checkpoint.config()?;
        config.loss = config.loss.resolve(registry)?;
        // What is not there may still be given to the builder, which else refuses it by its name.
        if !own.names::<dyn UpdateRule>().is_empty() {
            config = config.resolve_optimizers(own)?;
        }
        if !own.names::<dyn Metric>().is_empty() {
            config = config.resolve_metrics(own)?;
        }
        builder.config = config;
        builder.checkpoint = Some(Source::Read(Box::new(checkpoint)));
        Ok(builder)
    }

    /// Looks up the code of the settings' own metrics and transforms by their names.
    ///
    /// # Errors
    /// A metric or a transform that is not registered.
    pub fn own(mut self, own: &Constructors) -> Result<Self, TrainerError> {
        self.config = self.config.resolve_metrics(own)?;
        if self.pipeline.is_none() && !self.config.augmentation.is_empty() {
            self.pipeline = Some(Pipeline::read(&self.config.augmentation, own)?);
        }
        Ok(self)
    }

    /// The settings; default [`TrainerConfig::default`].
    #[must_use]
    pub fn config(mut self, config: TrainerConfig) -> Self {
        self.config = config;
        self
    }

    /// Changes the settings there are, such as those of a checkpoint.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut TrainerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// An executor, in place of the device that the settings name.
    #[must_use]
    pub fn executor(mut self, executor: Box<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// An optimizer, such as one with an update rule of one's own, in place of the settings', which
    /// then name it: of a built-in rule a checkpoint keeps all, of an own rule the name.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// Transforms, such as some of one's own, in place of the settings'. A checkpoint keeps those
    /// that have a text form: the library's, and those that [`Pipeline::read`] made by their names.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// What the data that the model is for told of itself, such as
    /// [`DataSplits::record`](onestep_data::DataSplits::record), in place of a checkpoint's.
    #[must_use]
    pub fn record(mut self, record: DataRecord) -> Self {
        self.record = Some(record);
        self
    }

    /// Uses the weights of the last step, or those of the best epoch, whatever the checkpoint was
    /// saved with in use: after early stopping that is the best epoch, else the last step. Training
    /// goes on from the last step in any case.
    #[must_use]
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = Some(weights);
        self
    }

    /// Starts from the state of a checkpoint of the same model.
    #[must_use]
    pub fn checkpoint(mut self, folder: impl AsRef<Path>) -> Self {
        self.checkpoint = Some(Source::Folder(folder.as_ref().to_path_buf()));
        self
    }

    /// The memory that a step of each of some modes would take, without taking any for the model:
    /// its parameters are neither allocated nor filled.
    ///
    /// # Errors
    /// As for [`Trainer::new`], but for the memory, and [`Trainer::footprint`].
    pub fn footprints<const N: usize>(
        self,
        modes: [Mode; N],
        batch: usize,
    ) -> Result<[Footprint; N], TrainerError> {
        let config = self.checked_config()?;
        let model = self.model.compile()?;
        let optimizer = self.optimizer.map_or_else(|| config.optimizer(), Ok)?;
        let executor = self.executor.map_or_else(|| executor_of(&config), Ok)?;
        let program = program_of(model, &config, optimizer)?;
        let mut footprints = [Footprint::default(); N];
        for (footprint, mode) in footprints.iter_mut().zip(modes) {
            *footprint = executor.footprint(&program.program(mode, batch)?, program.layout())?;
        }
        Ok(footprints)
    }

    /// The settings, whose transforms are only looked at where none are given in place of them.
    fn checked_config(&self) -> Result<TrainerConfig, TrainerError> {
        let mut config = self.config.clone();
        if self.pipeline.is_some() {
            config.augmentation = String::new();
        }
        config.validate()?;
        Ok(config)
    }

    /// Compiles the model, takes the device's memory for its state and fills it: from the seed, or
    /// from a checkpoint.
    ///
    /// # Errors
    /// As for [`Trainer::new`] and [`Trainer::load`].
    pub fn build(self) -> Result<Trainer, TrainerError> {
        let mut config = self.checked_config()?;
        let model = self.model.compile()?;
        let mut saved = self.checkpoint.map(Source::read).transpose()?;
        if let Some((checkpoint, before)) = &mut saved {
            checkpoint.check_model(model.spec())?;
            refuse_changes(before, &config, &checkpoint.record.progress)?;
            forget_figures(before, &config, &mut checkpoint.record);
            if self.pipeline.is_none() {
                refuse_pipeline(&checkpoint.record.progress.own)?;
            }
        }
        let mut own = OwnCode::default();
        let pipeline = match self.pipeline {
            Some(pipeline) => adopt_pipeline(pipeline, &mut config, &mut own),
            None => config.pipeline()?,
        };
        let optimizer = match self.optimizer {
            Some(optimizer) => adopt_optimizer(optimizer, &mut config, &mut own),
            None => config.optimizer()?,
        };
        if let Some((checkpoint, before)) = &saved {
            refuse_optimizer(before, &checkpoint.record.progress.own, &optimizer)?;
        }
        let executor = self.executor.map_or_else(|| executor_of(&config), Ok)?;
        let mut trainer = fresh(model, config, (optimizer, pipeline), executor)?;
        trainer.progress.own = own;
        if let Some((checkpoint, _)) = saved {
            trainer.restore_from(checkpoint, self.weights)?;
        }
        if let Some(record) = self.record {
            trainer.set_record(record)?;
        }
        Ok(trainer)
    }
}

/// A trainer before its first step.
fn fresh(
    model: Model,
    config: TrainerConfig,
    (optimizer, pipeline): (Optimizer, Pipeline),
    executor: Box<dyn Executor>,
) -> Result<Trainer, TrainerError> {
    let program = program_of(model, &config, optimizer)?;
    let figures = program.figures().clone();
    Ok(Trainer {
        learner: Learner::new(program, executor, config.seed)?,
        schedule: None,
        flight: Flight::new(config.steps_in_flight, figures),
        progress: Progress::new(config.seed),
        remembered: BTreeMap::new(),
        best: None,
        last: None,
        last_checkpoint: None,
        config,
        pipeline,
        record: DataRecord::default(),
    })
}

/// The executor of the device that the settings name.
fn executor_of(config: &TrainerConfig) -> Result<Box<dyn Executor>, TrainerError> {
    let (threads, memory_budget) = (config.threads, config.memory_budget);
    executor(&config.device, &ExecutorOptions { threads, memory_budget })
}

impl Source {
    /// The checkpoint, with its settings.
    fn read(self) -> Result<(Checkpoint, TrainerConfig), TrainerError> {
        let checkpoint = match self {
            Source::Folder(folder) => Checkpoint::read(&folder)?,
            Source::Read(checkpoint) => *checkpoint,
        };
        let config = checkpoint.config()?;
        Ok((checkpoint, config))
    }
}

/// Makes transforms part of the settings where they have a text form.
fn adopt_pipeline(pipeline: Pipeline, config: &mut TrainerConfig, own: &mut OwnCode) -> Pipeline {
    let text = pipeline.to_string();
    match pipeline.is_named() {
        true => config.augmentation = text,
        false => (config.augmentation, own.pipeline) = (String::new(), Some(text)),
    }
    pipeline
}

/// Makes an optimizer part of the settings where its rule is a built-in one.
fn adopt_optimizer(
    optimizer: Optimizer,
    config: &mut TrainerConfig,
    own: &mut OwnCode,
) -> Optimizer {
    if let Some(rule) = config.adopt(&optimizer) {
        own.optimizer = Some(rule);
    }
    optimizer
}
