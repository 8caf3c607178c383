//! Training steps on one and the same batch: a learner without a loader or a schedule, which runs the
//! program that training runs. Rates are measured with it, and single steps are compared with other
//! frameworks.

use onestep_engine::{
    EngineError, Executor, Feeds, Footprint, KernelTime, Mode, Signature, StateTable, StepCounters,
    Ticket,
};
use onestep_layers::{LayerError, LossSpec, Model};
use onestep_memory::{MemoryError, MemoryManager, Tensor};
use onestep_optimizer::{Optimizer, OptimizerError};
use onestep_trainer::{Learner, TrainerError, TrainingProgram};
use thiserror::Error;

pub use onestep_trainer::OUTPUT;

/// What can go wrong with a runner or a workload.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// There is no workload of this name.
    #[error("unknown workload `{got}`; there are: {known}")]
    UnknownWorkload {
        /// The name given.
        got: String,
        /// The names there are.
        known: String,
    },
    /// The model or the loss cannot be built.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The optimizer cannot be used.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// A step cannot be compiled or run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Memory ran out.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The program cannot be made.
    #[error(transparent)]
    Trainer(TrainerError),
}

impl From<TrainerError> for RunnerError {
    fn from(error: TrainerError) -> Self {
        match error {
            TrainerError::Layer(error) => RunnerError::Layer(*error),
            TrainerError::Optimizer(error) => RunnerError::Optimizer(*error),
            TrainerError::Engine(error) => RunnerError::Engine(*error),
            TrainerError::Memory(error) => RunnerError::Memory(*error),
            other => RunnerError::Trainer(other),
        }
    }
}

/// How a [`StepRunner`] runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunnerOptions {
    /// Determines the initial parameters and the masks of dropout.
    pub seed: u64,
    /// Whether the output and the gradients can be read after a step; it costs memory.
    pub keep_outputs: bool,
}

/// The tensors of a batch: as many as the program has fields, in their order (the inputs, then the
/// targets), or by name, where `weight` may be how much each sample counts.
#[derive(Clone, Debug, Default)]
pub struct StepBatch {
    names: Vec<String>,
    tensors: Vec<Tensor>,
}

impl StepBatch {
    /// The tensors.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    fn feeds(&self) -> Feeds<'_> {
        Feeds::named(&self.names, &self.tensors)
    }

    fn samples(&self) -> usize {
        self.tensors.first().and_then(|tensor| tensor.shape().first().copied()).unwrap_or(0)
    }
}

impl<const N: usize> From<[Tensor; N]> for StepBatch {
    fn from(tensors: [Tensor; N]) -> Self {
        StepBatch { names: Vec::new(), tensors: tensors.into() }
    }
}

impl FromIterator<(String, Tensor)> for StepBatch {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(fields: I) -> Self {
        let (names, tensors) = fields.into_iter().unzip();
        StepBatch { names, tensors }
    }
}

/// A model that is trained on one batch, one native call a step.
///
/// ```
/// use onestep::prelude::*;
/// use onestep::runner::{RunnerOptions, StepRunner};
///
/// let model = ModelBuilder::new([2]).dense(1, true, "fc").build()?;
/// let optimizer = Optimizer::from_spec("sgd".parse::<OptimizerSpec>()?.with_lr(0.1))?;
/// let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
/// let memory = cpu.memory().clone();
/// let input = memory.from_slice([2, 2], &[0.0f32, 1.0, 1.0, 0.0])?;
/// let target = memory.from_slice([2, 1], &[1.0f32, -1.0])?;
/// let options = RunnerOptions { seed: 1, keep_outputs: true };
/// let mse = "mse".parse()?;
/// let mut runner = StepRunner::new(&model, &mse, &optimizer, cpu, [input, target], &options)?;
/// let first = runner.step()?.wait()?.loss();
/// let second = runner.step()?.wait()?.loss();
/// assert!(second < first);
/// assert_eq!(runner.read_output("grad.fc.bias")?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StepRunner {
    learner: Learner,
    batch: StepBatch,
    batch_size: usize,
}

impl StepRunner {
    /// Compiles the step for a batch (`[input, target]`, or by name) and fills the parameters from the
    /// seed.
    ///
    /// # Errors
    /// A model, loss or optimizer that cannot be built, a batch that does not suit them, or a
    /// device without room.
    pub fn new(
        model: &Model,
        loss: &LossSpec,
        optimizer: &Optimizer,
        executor: Box<dyn Executor>,
        batch: impl Into<StepBatch>,
        options: &RunnerOptions,
    ) -> Result<Self, RunnerError> {
        let program = TrainingProgram::new(model.clone(), loss.clone(), optimizer.clone())?;
        StepRunner::of(program, executor, batch, options)
    }

    /// The same for a program, of which the loss alone is measured: a metric would be a kernel more.
    ///
    /// # Errors
    /// As for [`StepRunner::new`].
    pub fn of(
        program: TrainingProgram,
        executor: Box<dyn Executor>,
        batch: impl Into<StepBatch>,
        options: &RunnerOptions,
    ) -> Result<Self, RunnerError> {
        let batch = batch.into();
        let program = program.with_metrics(&[])?.keep(options.keep_outputs);
        let learner = Learner::new(program, executor, options.seed)?;
        let mut runner = StepRunner { learner, batch_size: batch.samples(), batch };
        if runner.batch_size > 0 {
            runner.footprint()?;
        }
        Ok(runner)
    }

    /// Submits a step; its loss arrives in the ticket.
    ///
    /// # Errors
    /// The batch is empty or does not fit the model, or the device failed.
    pub fn step(&mut self) -> Result<Ticket, RunnerError> {
        Ok(self.learner.step(self.batch.feeds())?)
    }

    /// Runs a step and times each of its kernels.
    ///
    /// # Errors
    /// As for [`StepRunner::step`], and a device that does not run kernel by kernel.
    pub fn profile(&mut self) -> Result<Vec<KernelTime>, RunnerError> {
        Ok(self.learner.profile(self.batch.feeds())?)
    }

    /// The output of the model in the last step ([`OUTPUT`]) or the gradient of a parameter
    /// (`grad.NAME`), where [`RunnerOptions::keep_outputs`] is set. Waits for the step.
    ///
    /// # Errors
    /// There is no such output, or there was no step.
    pub fn read_output(&mut self, name: &str) -> Result<Vec<f32>, RunnerError> {
        Ok(self.learner.reading(name)?)
    }

    /// Parameters, optimizer state and running statistics. Wait for the last step before reading
    /// or writing.
    pub fn state(&self) -> &StateTable {
        self.learner.state()
    }

    /// The batch: input and target.
    pub fn batch(&self) -> &[Tensor] {
        &self.batch.tensors
    }

    /// The memory of the device.
    pub fn memory(&self) -> &MemoryManager {
        self.learner.memory()
    }

    /// Samples in the batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Steps submitted so far.
    pub fn steps(&self) -> u64 {
        self.learner.steps()
    }

    /// What the executor has done so far.
    pub fn counters(&self) -> StepCounters {
        self.learner.counters()
    }

    /// The memory that the plan of the step takes.
    ///
    /// # Errors
    /// An empty batch.
    pub fn footprint(&mut self) -> Result<Footprint, RunnerError> {
        let signature = match self.batch.names.as_slice() {
            [] => self.learner.program().signature(Mode::Train, self.batch_size)?,
            names => Signature::of(names, &self.batch.tensors)?,
        };
        Ok(self.learner.prepare_for(Mode::Train, &signature)?)
    }

    /// The device's name.
    pub fn device_name(&self) -> String {
        self.learner.device_name()
    }
}

impl std::fmt::Debug for StepRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepRunner")
            .field("device", &self.learner.device_name())
            .field("batch_size", &self.batch_size)
            .field("steps", &self.learner.steps())
            .finish_non_exhaustive()
    }
}
