//! Training steps on one and the same batch, straight on the engine: no loader, no metrics, no
//! schedule. Rates are measured with it, and single steps are compared with other frameworks.

use std::sync::Arc;

use onestep_engine::{
    Engine, EngineError, Executor, Feeds, Footprint, KernelTime, Mode, Named, ParameterGroup,
    ParameterInfo, Program, Scalars, StateInfo, StateLayout, StateTable, StepCounters, Ticket,
    UpdateGraph,
};
use onestep_layers::{LayerError, LossSpec, Model};
use onestep_memory::{MemoryError, MemoryManager, Tensor};
use onestep_optimizer::{LR, Optimizer, OptimizerError};
use thiserror::Error;

/// The output of the model, as [`StepRunner::read_output`] knows it.
pub const OUTPUT: &str = "output";

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
}

/// How a [`StepRunner`] runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunnerOptions {
    /// Determines the initial parameters and the masks of dropout.
    pub seed: u64,
    /// Whether the output and the gradients can be read after a step; it costs memory.
    pub keep_outputs: bool,
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
    engine: Engine,
    batch: [Tensor; 2],
    batch_size: usize,
    scalars: Scalars,
}

impl StepRunner {
    /// Compiles the step for `[input, target]` and fills the parameters from the seed.
    ///
    /// # Errors
    /// A model, loss or optimizer that cannot be built, a batch that does not suit them, or a
    /// device without room.
    pub fn new(
        model: &Model,
        loss: &LossSpec,
        optimizer: &Optimizer,
        executor: Box<dyn Executor>,
        batch: [Tensor; 2],
        options: &RunnerOptions,
    ) -> Result<Self, RunnerError> {
        let parameters: Vec<ParameterInfo> =
            model.parameters().iter().map(|parameter| parameter.info.clone()).collect();
        let groups = optimizer.groups(&parameters)?;
        let update = optimizer.update_graph(&groups)?;
        let states = model.states().iter().map(|state| StateInfo {
            name: state.name.clone(),
            shape: state.shape.clone(),
            initial: state.initial,
        });
        let layout = StateLayout::new(&groups, &states.collect::<Vec<_>>(), Some(&update))?;
        let recipe = Recipe {
            model: model.clone(),
            loss: loss.clone(),
            groups: groups.into(),
            update: Arc::new(update),
            keep_outputs: options.keep_outputs,
        };
        let mut engine = Engine::new(executor, layout, Box::new(move |_, n| recipe.source(n)))?;
        for (name, values) in model.initial_parameters(options.seed) {
            engine.state().write(name, &values)?;
        }
        let batch_size = batch[0].shape().first().copied().unwrap_or(0);
        if batch_size > 0 {
            engine.prepare(Mode::Train, batch_size)?;
        }
        let mut scalars = Scalars::new(options.seed);
        scalars.step = 0;
        scalars.set(LR, optimizer.lr() as f32);
        Ok(StepRunner { engine, batch, batch_size, scalars })
    }

    /// Submits a step; its loss arrives in the ticket.
    ///
    /// # Errors
    /// The batch is empty or does not fit the model, or the device failed.
    pub fn step(&mut self) -> Result<Ticket, RunnerError> {
        self.scalars.step += 1;
        Ok(self.engine.submit(Mode::Train, Feeds::new(&self.batch), &self.scalars)?)
    }

    /// Runs a step and times each of its kernels.
    ///
    /// # Errors
    /// As for [`StepRunner::step`], and a device that does not run kernel by kernel.
    pub fn profile(&mut self) -> Result<Vec<KernelTime>, RunnerError> {
        self.scalars.step += 1;
        Ok(self.engine.profile(Mode::Train, Feeds::new(&self.batch), &self.scalars)?)
    }

    /// The output of the model in the last step ([`OUTPUT`]) or the gradient of a parameter
    /// (`grad.NAME`), where [`RunnerOptions::keep_outputs`] is set. Waits for the step.
    ///
    /// # Errors
    /// There is no such output, or there was no step.
    pub fn read_output(&mut self, name: &str) -> Result<Vec<f32>, RunnerError> {
        Ok(self.engine.read_output(Mode::Train, self.batch_size, name)?)
    }

    /// Parameters, optimizer state and running statistics. Wait for the last step before reading
    /// or writing.
    pub fn state(&self) -> &StateTable {
        self.engine.state()
    }

    /// The batch: input and target.
    pub fn batch(&self) -> &[Tensor; 2] {
        &self.batch
    }

    /// The memory of the device.
    pub fn memory(&self) -> &MemoryManager {
        self.engine.memory()
    }

    /// Samples in the batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Steps submitted so far.
    pub fn steps(&self) -> u64 {
        self.scalars.step
    }

    /// What the executor has done so far.
    pub fn counters(&self) -> StepCounters {
        self.engine.counters()
    }

    /// The memory that the plan of the step takes.
    ///
    /// # Errors
    /// An empty batch.
    pub fn footprint(&mut self) -> Result<Footprint, RunnerError> {
        Ok(self.engine.prepare(Mode::Train, self.batch_size)?)
    }

    /// The device's name.
    pub fn device_name(&self) -> String {
        self.engine.device_name()
    }
}

impl std::fmt::Debug for StepRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepRunner")
            .field("device", &self.engine.device_name())
            .field("batch_size", &self.batch_size)
            .field("steps", &self.scalars.step)
            .finish_non_exhaustive()
    }
}

/// What the training program is made of.
struct Recipe {
    model: Model,
    loss: LossSpec,
    groups: Arc<[ParameterGroup]>,
    update: Arc<UpdateGraph>,
    keep_outputs: bool,
}

impl Recipe {
    fn source(&self, batch: usize) -> Result<Program, EngineError> {
        self.program(batch).map_err(|error| EngineError::Source {
            mode: Mode::Train,
            batch,
            reason: error.to_string(),
        })
    }

    fn program(&self, batch: usize) -> Result<Program, LayerError> {
        let mut forward = self.model.forward(Mode::Train, batch)?;
        let loss = self.loss.build(&mut forward.graph, forward.output)?.loss;
        let output = self.keep_outputs.then(|| Named::new(OUTPUT, forward.output));
        Ok(Program {
            mode: Mode::Train,
            loss: Some(loss),
            outputs: output.into_iter().collect(),
            reports: Vec::new(),
            state_updates: forward.state_updates,
            groups: Arc::clone(&self.groups),
            update: Some(Arc::clone(&self.update)),
            keep_gradients: self.keep_outputs,
            graph: forward.graph,
        })
    }
}
