//! A model with its state on a device: what steps, and what can be read of it.

mod exchange;
mod last;
mod readings;
mod save;

use onestep_engine::{
    Engine, Executor, Feeds, Footprint, KernelTime, Mode, Scalars, Signature, StateTable,
    StepCounters, Ticket,
};
use onestep_layers::Model;
use onestep_memory::MemoryManager;
use onestep_optimizer::{Fed, Horizon, LR, STEP};

pub(crate) use save::program_of;

use crate::TrainerError;
use crate::program::TrainingProgram;
use last::{LastBatch, Readings, place};

/// A [`TrainingProgram`] and its state on a device: it steps, evaluates and predicts on batches, and
/// its state can be read and written by name. It knows neither data sets nor epochs nor schedules;
/// a [`Trainer`](crate::Trainer) adds those, and several learners can take turns.
///
/// ```
/// use onestep_engine::{Feeds, Mode};
/// use onestep_layers::ModelBuilder;
/// use onestep_optimizer::{Optimizer, OptimizerSpec};
/// use onestep_trainer::{ExecutorOptions, Learner, TrainingProgram, executor};
///
/// let model = ModelBuilder::new([2]).dense(1, true, "fc").build()?;
/// let sgd = Optimizer::from_spec("sgd".parse::<OptimizerSpec>()?.with_lr(0.1))?;
/// let program = TrainingProgram::new(model, "mse".parse()?, sgd)?;
/// let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
/// let mut learner = Learner::new(program, cpu, 1)?;
/// let input = learner.memory().from_slice([2, 2], &[0.0f32, 1.0, 1.0, 0.0])?;
/// let target = learner.memory().from_slice([2, 1], &[1.0f32, -1.0])?;
/// let batch = [input, target];
/// let first = learner.step(Feeds::new(&batch))?.wait()?.loss();
/// let second = learner.step(Feeds::new(&batch))?.wait()?.loss();
/// assert!(second < first);
/// assert_eq!(learner.steps(), 2);
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
pub struct Learner {
    program: TrainingProgram,
    engine: Engine,
    scalars: Scalars,
    /// Steps of training so far, those of a run that it goes on with included.
    steps: u64,
    /// Batches of the next update whose gradients are there.
    accumulated: u64,
    learning_rate: f64,
    /// How long the run is, as far as it is known.
    horizon: Horizon,
    /// What is fed besides: shares of averages, options on a schedule.
    fed: Fed,
    /// The fields of the last batch of each mode.
    last: [LastBatch; 3],
    /// What could be read after that step, where another program has run since.
    readings: Option<Readings>,
}

/// Writes what parameters begin with, and states whose beginning follows from it: the layout has filled all
/// else.
fn begin(state: &StateTable, model: &Model, seed: u64) -> Result<(), TrainerError> {
    for (name, values) in model.initial_parameters(seed) {
        state.write(name, &values)?;
    }
    if model.states().iter().all(|state| state.derived.is_none()) {
        return Ok(());
    }
    for (name, values) in model.initial_states(seed) {
        state.write(name, &values)?;
    }
    Ok(())
}

impl Learner {
    /// Takes the device's memory for the state and fills the parameters from the seed.
    ///
    /// # Errors
    /// A device without room.
    pub fn new(
        program: TrainingProgram,
        executor: Box<dyn Executor>,
        seed: u64,
    ) -> Result<Self, TrainerError> {
        let engine = Engine::new(executor, program.layout().clone(), program.source())?;
        begin(engine.state(), program.model(), seed)?;
        engine.state().start_copies()?;
        let learning_rate = program.optimizer().lr();
        // A run says how long it is; until then only what does not depend on that is right.
        let horizon = Horizon::new(1, 1)?;
        let fed = program.optimizer().fed(&horizon)?;
        let scalars = Scalars::new(seed);
        Ok(Learner {
            program,
            engine,
            scalars,
            steps: 0,
            accumulated: 0,
            learning_rate,
            horizon,
            fed,
            last: Default::default(),
            readings: None,
        })
    }

    /// What it trains.
    pub fn program(&self) -> &TrainingProgram {
        &self.program
    }

    /// The engine, for its plans and memory.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The plan of a mode and batch size as text.
    ///
    /// # Errors
    /// As for [`Learner::prepare`].
    pub fn dump(&mut self, mode: Mode, batch: usize) -> Result<String, TrainerError> {
        let signature = self.program.signature(mode, batch)?;
        Ok(self.engine.dump(mode, &signature)?)
    }

    /// Declares the state good again after a failed step, once it was written anew.
    pub fn recover(&mut self) {
        self.engine.recover();
    }

    /// Parameters, optimizer state and running statistics. Read and write it only when no step is in
    /// flight.
    pub fn state(&self) -> &StateTable {
        self.engine.state()
    }

    /// The memory of the device.
    pub fn memory(&self) -> &MemoryManager {
        self.engine.memory()
    }

    /// Steps of training so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Says how many steps there were, for state that was taken from elsewhere: the next step's noise
    /// and corrections follow from its number.
    pub fn set_steps(&mut self, steps: u64) {
        self.set_position(steps, 0);
    }

    /// As [`set_steps`](Self::set_steps) with the batches whose gradients are there for the next.
    pub(crate) fn set_position(&mut self, steps: u64, accumulated: u64) {
        (self.steps, self.accumulated) = (steps, accumulated);
    }

    /// The seed of the masks of dropout.
    pub fn seed(&self) -> u64 {
        self.scalars.seed
    }

    pub(crate) fn set_seed(&mut self, seed: u64) {
        self.scalars.seed = seed;
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Sets the learning rate from the next step on. Nothing is compiled anew.
    pub fn set_learning_rate(&mut self, lr: f64) {
        self.learning_rate = lr;
    }

    /// Says how long the run is that the schedules of the optimizer's options and a mean of the weights by
    /// epochs go by; until then each step counts as an epoch.
    ///
    /// # Errors
    /// A schedule that cannot be made over it.
    pub fn set_horizon(&mut self, horizon: &Horizon) -> Result<(), TrainerError> {
        self.fed = self.program.optimizer().fed(horizon)?;
        self.horizon = horizon.clone();
        Ok(())
    }

    /// As the optimizer's own from now on.
    pub(crate) fn set_base_learning_rate(&mut self, lr: f64) -> Result<(), TrainerError> {
        self.program.set_learning_rate(lr)?;
        self.learning_rate = lr;
        Ok(())
    }

    /// Submits one step of training on a batch: one native call. Its loss arrives in the ticket.
    ///
    /// # Errors
    /// The batch is empty or does not fit the model, or the device failed.
    pub fn step(&mut self, feeds: Feeds<'_>) -> Result<Ticket, TrainerError> {
        self.begin_step();
        let feeds = self.program.named(feeds);
        let ticket = self.engine.submit(Mode::Train, feeds, &self.scalars)?;
        self.last[place(Mode::Train)].note(feeds);
        self.end_step();
        Ok(ticket)
    }

    /// Runs a step and times each of its kernels.
    ///
    /// # Errors
    /// As for [`Learner::step`], and a device that does not run kernel by kernel.
    pub fn profile(&mut self, feeds: Feeds<'_>) -> Result<Vec<KernelTime>, TrainerError> {
        self.begin_step();
        let feeds = self.program.named(feeds);
        let times = self.engine.profile(Mode::Train, feeds, &self.scalars)?;
        self.last[place(Mode::Train)].note(feeds);
        self.end_step();
        Ok(times)
    }

    /// Submits a batch whose gradient is added to those of the batches before; the next
    /// [`step`](Self::step) makes one update of them all. The program must
    /// [accumulate](TrainingProgram::accumulate).
    ///
    /// # Errors
    /// As for [`Learner::step`].
    pub fn accumulate(&mut self, feeds: Feeds<'_>) -> Result<Ticket, TrainerError> {
        self.begin_step();
        let feeds = self.program.named(feeds);
        let ticket = self.engine.submit(Mode::Accumulate, feeds, &self.scalars)?;
        self.accumulated += 1;
        Ok(ticket)
    }

    fn begin_step(&mut self) {
        // The noise of each batch is its own; what the optimizer counts are updates.
        let batches = self.program.accumulates() as u64;
        self.scalars.step = self.steps * batches + self.accumulated + 1;
        self.scalars.set(STEP, (self.steps + 1) as f32);
        for (name, value) in self.fed.at(self.steps) {
            self.scalars.set(name, value as f32);
        }
        self.scalars.set(LR, self.learning_rate as f32);
    }

    fn end_step(&mut self) {
        self.readings = None;
        (self.steps, self.accumulated) = (self.steps + 1, 0);
    }

    /// Submits loss and metrics of a batch, without any change of state.
    ///
    /// # Errors
    /// As for [`Learner::step`].
    pub fn evaluate(&mut self, feeds: Feeds<'_>) -> Result<Ticket, TrainerError> {
        self.keep_readings()?;
        let feeds = self.program.named(feeds);
        self.last[place(Mode::Evaluate)].note(feeds);
        Ok(self.engine.submit(Mode::Evaluate, feeds, &self.scalars)?)
    }

    /// Applies the model to a batch of inputs and waits for its output, row-major.
    ///
    /// # Errors
    /// As for [`Learner::step`].
    pub fn predict(&mut self, feeds: Feeds<'_>) -> Result<Vec<f32>, TrainerError> {
        self.keep_readings()?;
        let feeds = self.program.named(feeds);
        self.engine.submit(Mode::Predict, feeds, &self.scalars)?.wait()?;
        self.last[place(Mode::Predict)].note(feeds);
        let output = self.program.output().to_owned();
        self.read_last(Mode::Predict, &output)
    }

    /// The names of the scalars in the tickets of training.
    ///
    /// # Errors
    /// As for [`Learner::prepare`].
    pub fn report_names(&mut self, batch: usize) -> Result<Vec<String>, TrainerError> {
        let signature = self.program.signature(Mode::Train, batch)?;
        Ok(self.engine.report_names(Mode::Train, &signature)?)
    }

    /// The names of the scalars in the ticket of the last step of training, whatever its batch was.
    pub(crate) fn last_report_names(&mut self) -> Result<Vec<String>, TrainerError> {
        let signature = self.last[place(Mode::Train)].signature()?;
        Ok(self.engine.report_names(Mode::Train, &signature)?)
    }

    /// Compiles the step of a mode and batch size, unless that was done, and tells the memory it
    /// takes.
    ///
    /// # Errors
    /// A batch size that the model cannot be run with, or more memory than there is.
    pub fn prepare(&mut self, mode: Mode, batch: usize) -> Result<Footprint, TrainerError> {
        let signature = self.program.signature(mode, batch)?;
        Ok(self.engine.prepare(mode, &signature)?)
    }

    /// The same for a batch of these very fields.
    ///
    /// # Errors
    /// As for [`Learner::prepare`].
    pub fn prepare_for(
        &mut self,
        mode: Mode,
        signature: &Signature,
    ) -> Result<Footprint, TrainerError> {
        Ok(self.engine.prepare(mode, signature)?)
    }

    /// Keeps at least so many compiled programs.
    pub(crate) fn keep_plans(&mut self, plans: usize) {
        self.engine.set_plan_limit(plans.max(onestep_engine::PLANS));
    }

    /// The device's name for people.
    pub fn device_name(&self) -> String {
        self.engine.device_name()
    }

    /// Calls, allocations and synchronisations of the executor so far.
    pub fn counters(&self) -> StepCounters {
        self.engine.counters()
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("model", &self.program.model().spec().name)
            .field("device", &self.engine.device_name())
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
