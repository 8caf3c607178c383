//! The trainer: a model, its training settings and the engine that runs its steps.

mod batch;
mod binding;
mod build;
mod checks;
mod evaluate;
mod fit;
mod flight;
mod hooks;
mod predict;
mod readings;
mod record;
mod resume;
mod run;
mod schedule;
mod state;
mod targets;
mod weights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onestep_data::{DataRecord, Pipeline};
use onestep_engine::{Engine, Footprint, Mode, StepCounters};
use onestep_layers::{Model, ModelSpec, Registry};
use onestep_optimizer::{Optimizer, Schedule};

pub use batch::StepResult;
pub use build::TrainerBuilder;
pub use evaluate::Evaluation;
pub use predict::Prediction;

use crate::TrainerError;
use crate::checkpoint::Progress;
use crate::config::TrainerConfig;
use crate::history::EpochRecord;
use crate::learner::Learner;
use crate::metrics::Figures;
use crate::program::TargetKind;
use crate::snapshot::Snapshot;
use flight::Flight;

/// Trains, evaluates and applies a model.
///
/// All state (parameters, optimizer state, running statistics) lives on the device. A step is one
/// call into the engine; losses arrive through tickets while later steps run.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{Dataset, InMemory};
/// use onestep_memory::Shape;
/// use onestep_trainer::{Trainer, TrainerConfig, TrainerError, factory};
///
/// // y = 2 x - 1
/// let x: Vec<f32> = (0..64).map(|i| i as f32 / 32.0 - 1.0).collect();
/// let y = x.iter().map(|x| 2.0 * x - 1.0).collect();
/// let line: Arc<dyn Dataset> =
///     Arc::new(InMemory::regression("line", Shape::from([1]), x, Shape::from([1]), y)?);
///
/// let config = TrainerConfig {
///     epochs: 40,
///     batch_size: 8,
///     loss: "mse".parse()?,
///     optimizer: "adam".parse::<onestep_optimizer::OptimizerSpec>()?.with_lr(0.05),
///     ..TrainerConfig::default()
/// };
/// let mut trainer = Trainer::new(factory::mlp([1], &[], 1), config)?;
/// let history = trainer.fit(line, None, &mut [])?;
/// assert!(history.epochs[39].train.loss < 0.01);
/// assert!((trainer.predict(&[0.5])?.values[0] - 0.0).abs() < 0.1);
/// # Ok::<(), TrainerError>(())
/// ```
pub struct Trainer {
    learner: Learner,
    config: TrainerConfig,
    pipeline: Pipeline,
    record: DataRecord,
    schedule: Option<Schedule>,
    flight: Flight,
    progress: Progress,
    remembered: BTreeMap<String, serde_json::Value>,
    best: Option<Snapshot>,
    /// The weights of the last step, while those of the best epoch are in use.
    last: Option<Snapshot>,
    last_checkpoint: Option<PathBuf>,
}

impl Trainer {
    /// A trainer with freshly initialised parameters on the device that the configuration names.
    ///
    /// # Errors
    /// A model, loss, optimizer or setting that makes no sense, or a device without room for it.
    pub fn new(model: impl Into<ModelSource>, config: TrainerConfig) -> Result<Self, TrainerError> {
        Self::builder(model).config(config).build()
    }

    /// A trainer with more to choose: the executor, an optimizer or transforms of one's own.
    pub fn builder(model: impl Into<ModelSource>) -> TrainerBuilder {
        TrainerBuilder::new(model.into())
    }

    /// The trainer of a checkpoint, on the device its configuration names, ready to go on.
    ///
    /// # Errors
    /// [`TrainerError::File`] and [`TrainerError::Checkpoint`] where files are missing or broken,
    /// and those of [`Trainer::new`].
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, TrainerError> {
        TrainerBuilder::load(folder)?.build()
    }

    /// The same for a run with layers, losses, optimizers or metrics of one's own, whose code the registry
    /// has by their names.
    ///
    /// # Errors
    /// As for [`Trainer::load`], and a name that is not registered.
    pub fn load_with(folder: impl AsRef<Path>, registry: &Registry) -> Result<Self, TrainerError> {
        TrainerBuilder::load_with(folder, registry)?.build()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        self.learner.program().model()
    }

    /// The settings.
    pub fn config(&self) -> &TrainerConfig {
        &self.config
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        self.learner.program().optimizer()
    }

    /// The engine, for its state table, plans and memory. Steps go through the trainer.
    pub fn engine(&self) -> &Engine {
        self.learner.engine()
    }

    /// The model with its state on the device.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// The transforms of the inputs.
    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What a step reports.
    fn figures(&self) -> &Figures {
        self.learner.program().figures()
    }

    /// What the loss wants to be told.
    fn target(&self) -> &TargetKind {
        self.learner.program().target()
    }

    /// The device's name for people.
    pub fn device_name(&self) -> String {
        self.learner.device_name()
    }

    /// Calls, allocations and synchronisations of the executor so far.
    pub fn counters(&self) -> StepCounters {
        self.learner.counters()
    }

    /// How far training has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The complete epochs so far, those before a resumption included.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.progress.epochs
    }

    /// Trains to another number of epochs in all, for a run that is to be continued.
    ///
    /// # Errors
    /// No epochs, or fewer than are done.
    pub fn set_epochs(&mut self, epochs: usize) -> Result<(), TrainerError> {
        if epochs < self.progress.epoch.max(1) {
            let wanted = match self.progress.epoch {
                0 => "at least 1".to_owned(),
                done => format!("at least {done}, which are done"),
            };
            return Err(TrainerError::option("epochs", wanted, epochs));
        }
        (self.config.epochs, self.config.steps) = (epochs, None);
        Ok(())
    }

    /// The checkpoint that was written or loaded last.
    pub fn last_checkpoint(&self) -> Option<&Path> {
        self.last_checkpoint.as_deref()
    }

    /// Compiles the step of a mode and batch size, unless that was done, and tells the memory it
    /// takes.
    ///
    /// # Errors
    /// A batch size that the model cannot be run with, or more memory than there is.
    pub fn footprint(&mut self, mode: Mode, batch: usize) -> Result<Footprint, TrainerError> {
        self.learner.prepare(mode, batch)
    }

    /// The plan of a mode and batch size as text.
    ///
    /// # Errors
    /// As [`Trainer::footprint`].
    pub fn dump_plan(&mut self, mode: Mode, batch: usize) -> Result<String, TrainerError> {
        self.learner.dump(mode, batch)
    }

    /// Keeps something under a name as part of the next checkpoints, for a loop of one's own:
    /// callbacks have [`Callback::state`](crate::Callback::state) for it.
    ///
    /// # Errors
    /// A value that has no JSON form.
    pub fn remember(
        &mut self,
        name: &str,
        memory: &impl serde::Serialize,
    ) -> Result<(), TrainerError> {
        let value = serde_json::to_value(memory).map_err(|e| {
            TrainerError::callback(format!("{name}: the memory cannot be written: {e}"))
        })?;
        self.remembered.insert(name.to_owned(), value);
        Ok(())
    }

    /// A callback's memory from the last checkpoint or the end of the last `fit`, by its name.
    ///
    /// # Errors
    /// The memory is of another form.
    pub fn recall<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, TrainerError> {
        let Some(value) = self.remembered.get(name) else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|e| {
            TrainerError::callback(format!("{name}: the memory of the checkpoint is unusable: {e}"))
        })
    }

    /// Sets the scalars of the next step of training.
    fn set_scalars(&mut self) -> f64 {
        let lr = self.learning_rate();
        self.learner.set_position(self.progress.step, self.progress.accumulated);
        self.learner.set_learning_rate(lr);
        lr
    }
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("model", &self.model().spec().name)
            .field("device", &self.learner.device_name())
            .field("epoch", &self.progress.epoch)
            .field("step", &self.progress.step)
            .finish_non_exhaustive()
    }
}

/// A model, compiled or not.
#[derive(Clone, Debug)]
pub enum ModelSource {
    /// A configuration.
    Spec(ModelSpec),
    /// A compiled model.
    Model(Box<Model>),
}

impl ModelSource {
    fn compile(self) -> Result<Model, TrainerError> {
        match self {
            ModelSource::Spec(spec) => Ok(spec.compile()?),
            ModelSource::Model(model) => Ok(*model),
        }
    }
}

impl From<ModelSpec> for ModelSource {
    fn from(spec: ModelSpec) -> Self {
        ModelSource::Spec(spec)
    }
}

impl From<Model> for ModelSource {
    fn from(model: Model) -> Self {
        ModelSource::Model(Box::new(model))
    }
}
