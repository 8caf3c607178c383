//! Making a trainer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onestep_data::Pipeline;
use onestep_engine::{
    Engine, Executor, Footprint, Mode, ParameterInfo, Scalars, StateInfo, StateLayout,
};
use onestep_layers::Model;
use onestep_optimizer::Optimizer;

use super::flight::Flight;
use super::program::Programs;
use super::{ModelSource, Trainer};
use crate::TrainerError;
use crate::checkpoint::{Checkpoint, Progress};
use crate::config::TrainerConfig;
use crate::device::{ExecutorOptions, executor};

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
        }
    }

    /// The model and settings of a checkpoint, whose state the trainer will start from.
    ///
    /// The files are read once, here, and compared with their hashes before anything is made of them.
    ///
    /// # Errors
    /// A missing or broken file.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, TrainerError> {
        let checkpoint = Checkpoint::read(folder.as_ref())?;
        let mut builder = Self::new(checkpoint.model()?.into());
        builder.config = checkpoint.config()?;
        builder.checkpoint = Some(Source::Read(Box::new(checkpoint)));
        Ok(builder)
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

    /// An optimizer, such as one with an update rule of one's own, in place of the settings'.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// Transforms, such as some of one's own, in place of the settings'.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
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
        let config = self.config;
        config.validate()?;
        let model = self.model.compile()?;
        let optimizer = self.optimizer.map_or_else(|| config.optimizer(), Ok)?;
        let executor = self.executor.map_or_else(|| executor_of(&config), Ok)?;
        let (programs, layout) = programs(&model, &config, &optimizer)?;
        let source = programs.source();
        let mut footprints = [Footprint::default(); N];
        for (footprint, mode) in footprints.iter_mut().zip(modes) {
            *footprint = executor.footprint(&source(mode, batch)?, &layout)?;
        }
        Ok(footprints)
    }

    /// Compiles the model, takes the device's memory for its state and fills it: from the seed, or
    /// from a checkpoint.
    ///
    /// # Errors
    /// As for [`Trainer::new`] and [`Trainer::load`].
    pub fn build(self) -> Result<Trainer, TrainerError> {
        let config = self.config;
        config.validate()?;
        let model = self.model.compile()?;
        let optimizer = self.optimizer.map_or_else(|| config.optimizer(), Ok)?;
        let pipeline = self.pipeline.map_or_else(|| config.pipeline(), Ok)?;
        let executor = self.executor.map_or_else(|| executor_of(&config), Ok)?;
        let (programs, layout) = programs(&model, &config, &optimizer)?;
        let described = programs.describe()?;
        let engine = Engine::new(executor, layout, programs.source())?;
        initialise(&engine, &model, config.seed)?;
        let mut trainer = Trainer {
            metric: described.metric,
            target: described.target,
            scalars: Scalars::new(config.seed),
            schedule: None,
            flight: Flight::new(config.steps_in_flight),
            progress: Progress::new(config.seed),
            remembered: BTreeMap::new(),
            best: None,
            last_checkpoint: None,
            last_batch: 0,
            fitting: false,
            model,
            config,
            optimizer,
            pipeline,
            engine,
        };
        match self.checkpoint {
            Some(Source::Folder(folder)) => trainer.restore(folder)?,
            Some(Source::Read(checkpoint)) => trainer.restore_from(*checkpoint)?,
            None => {}
        }
        Ok(trainer)
    }
}

/// The device that the settings name.
fn executor_of(config: &TrainerConfig) -> Result<Box<dyn Executor>, TrainerError> {
    let (threads, memory_budget) = (config.threads, config.memory_budget);
    executor(&config.device, &ExecutorOptions { threads, memory_budget })
}

/// What a trainer's programs are made of, and where their state lies.
fn programs(
    model: &Model,
    config: &TrainerConfig,
    optimizer: &Optimizer,
) -> Result<(Programs, StateLayout), TrainerError> {
    let parameters: Vec<ParameterInfo> =
        model.parameters().iter().map(|parameter| parameter.info.clone()).collect();
    let groups = optimizer.groups(&parameters)?;
    let update = optimizer.update_graph(&groups)?;
    let states: Vec<StateInfo> = model.states().iter().map(state_info).collect();
    let layout = StateLayout::new(&groups, &states, Some(&update))?;
    let programs = Programs {
        model: model.clone(),
        loss: config.loss.clone(),
        groups: Arc::from(groups),
        update: Arc::new(update),
        keep_gradients: config.keep_gradients,
    };
    Ok((programs, layout))
}

fn state_info(state: &onestep_layers::StateSpec) -> StateInfo {
    StateInfo { name: state.name.clone(), shape: state.shape.clone(), initial: state.initial }
}

/// Fills the parameters from the seed. The layout has filled all else.
fn initialise(engine: &Engine, model: &Model, seed: u64) -> Result<(), TrainerError> {
    for (name, values) in model.initial_parameters(seed) {
        engine.state().write(name, &values)?;
    }
    Ok(())
}
