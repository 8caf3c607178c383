//! A model with its state on a device: what steps, and what can be read of it.

use std::collections::BTreeMap;

use onestep_engine::{
    Engine, Executor, Feeds, Footprint, KernelTime, Mode, Scalars, Signature, StateKind,
    StateTable, StepCounters, Ticket, Type,
};
use onestep_memory::MemoryManager;
use onestep_optimizer::{Fed, Horizon, LR, Leg, STEP};

use crate::TrainerError;
use crate::pattern::name_matches;
use crate::program::{TrainingProgram, gradient_name};
use crate::snapshot::Snapshot;

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
    /// What is fed besides: shares of averages, options on a schedule.
    fed: Fed,
    /// The fields of the last batch of each mode.
    last: [LastBatch; 3],
    /// What could be read after that step, where another program has run since.
    readings: Option<Readings>,
}

/// The fields of a batch. Its memory is taken once, so that a step allocates nothing.
#[derive(Default)]
struct LastBatch {
    names: Vec<String>,
    types: Vec<Type>,
}

impl LastBatch {
    fn note(&mut self, feeds: Feeds<'_>) {
        if self.names != feeds.names {
            self.names = feeds.names.to_vec();
        }
        self.types.clear();
        let types = feeds.tensors.iter();
        self.types.extend(types.map(|t| Type { shape: t.shape().clone(), dtype: t.dtype() }));
    }

    fn signature(&self) -> Result<Signature, TrainerError> {
        Ok(Signature::new(self.names.iter().cloned().zip(self.types.iter().cloned()))?)
    }
}

/// The place of a mode's last batch.
fn place(mode: Mode) -> usize {
    match mode {
        Mode::Train | Mode::Accumulate => 0,
        Mode::Evaluate => 1,
        Mode::Predict => 2,
    }
}

/// Outputs and gradients by the names they are read by.
type Readings = BTreeMap<String, Vec<f32>>;

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
        // The layout has filled all else.
        for (name, values) in program.model().initial_parameters(seed) {
            engine.state().write(name, &values)?;
        }
        engine.state().start_copies()?;
        let learning_rate = program.optimizer().lr();
        // A run says how long it is; until then only what does not depend on that is right.
        let once = Horizon::of_legs(1, &[Leg { epoch: 0, step: 0, steps_per_epoch: 1 }])?;
        let fed = program.optimizer().fed(&once)?;
        let scalars = Scalars::new(seed);
        Ok(Learner {
            program,
            engine,
            scalars,
            steps: 0,
            accumulated: 0,
            learning_rate,
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

    /// Copies the parameters and model states to the host. No step may be in flight.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, TrainerError> {
        let state = self.state();
        let entries = state.layout().entries().iter();
        let kept = entries.filter(|entry| entry.kind != StateKind::Optimizer);
        let tensors = kept.map(|entry| Ok((entry.name.clone(), state.read(&entry.name)?)));
        Ok(Snapshot { tensors: tensors.collect::<Result<_, TrainerError>>()? })
    }

    /// Puts the tensors of a snapshot in their places. No step may be in flight.
    ///
    /// # Errors
    /// The snapshot is of another model.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), TrainerError> {
        for (name, values) in &snapshot.tensors {
            self.state().write(name, values)?;
        }
        Ok(())
    }

    /// Parameters, optimizer state and running statistics. Read and write it only when no step is in
    /// flight.
    pub fn state(&self) -> &StateTable {
        self.engine.state()
    }

    /// Goes on with another program, such as that of a grown model: what both have by the same name
    /// and shape is carried over (parameters, running statistics, the optimizer's state), all else
    /// begins as it would anew. Steps are counted on, and the device stays. Tells what was carried.
    /// No step may be in flight.
    ///
    /// ```
    /// use onestep_layers::ModelBuilder;
    /// use onestep_optimizer::{Optimizer, OptimizerSpec};
    /// use onestep_trainer::{ExecutorOptions, Learner, TrainingProgram, executor};
    ///
    /// let program = |classes: usize, head: &str| {
    ///     let model = ModelBuilder::new([4]).dense(8, true, "body").dense(classes, true, head);
    ///     let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?)?;
    ///     TrainingProgram::new(model.build()?, "cross_entropy".parse()?, adam)
    /// };
    /// let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None })?;
    /// let mut learner = Learner::new(program(2, "head")?, cpu, 0)?;
    /// let body = learner.state().read("body.weight")?;
    /// let carried = learner.rebuild(program(3, "wide")?)?;
    /// assert!(carried.contains(&"exp_avg.body.weight".to_owned()));
    /// assert_eq!(learner.state().read("body.weight")?, body);
    /// assert_eq!(learner.state().read("wide.weight")?.len(), 8 * 3);
    /// # Ok::<(), onestep_trainer::TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// A device without room for both.
    pub fn rebuild(&mut self, program: TrainingProgram) -> Result<Vec<String>, TrainerError> {
        let before = self.engine.rebuild(program.layout().clone(), program.source())?;
        for (name, values) in program.model().initial_parameters(self.scalars.seed) {
            self.engine.state().write(name, &values)?;
        }
        self.engine.state().start_copies()?;
        let carried = self.engine.state().carry_over(&before)?;
        self.program = program;
        (self.accumulated, self.last, self.readings) = (0, Default::default(), None);
        Ok(carried)
    }

    /// Takes the tensors of another learner whose names are those of a
    /// [pattern](crate::name_matches), where it has them in the same shape; tells how many. So two
    /// learners that share a part of their models take turns. No step may be in flight.
    ///
    /// # Errors
    /// A device cannot be read or written.
    pub fn take_from(&mut self, other: &Learner, pattern: &str) -> Result<usize, TrainerError> {
        let (own, theirs) = (self.engine.state(), other.engine.state());
        let mut taken = 0;
        for entry in own.layout().entries() {
            let known = theirs.layout().entry(&entry.name).ok();
            if name_matches(pattern, &entry.name) && known.is_some_and(|e| e.shape == entry.shape) {
                own.write(&entry.name, &theirs.read(&entry.name)?)?;
                taken += 1;
            }
        }
        Ok(taken)
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

    /// Says how long the run is that the schedules of the optimizer's options go by.
    ///
    /// # Errors
    /// A schedule that cannot be made over it.
    pub fn set_horizon(&mut self, horizon: &Horizon) -> Result<(), TrainerError> {
        self.fed = self.program.optimizer().fed(horizon)?;
        Ok(())
    }

    /// The parameters that evaluation and prediction use, where those are not the ones that are
    /// trained: their average, by the parameters' names. No step may be in flight.
    ///
    /// # Errors
    /// The device cannot be read.
    pub fn averaged(&self) -> Result<Option<Snapshot>, TrainerError> {
        let Some(kind) = self.program.optimizer().weights() else { return Ok(None) };
        let frozen: Vec<&str> = self.program.frozen().collect();
        let names = self.program.model().parameters().iter().map(|p| p.info.name.as_str());
        let tensors = names
            .filter(|name| !frozen.contains(name))
            .map(|name| Ok((name.to_owned(), self.state().read(&format!("{kind}.{name}"))?)));
        Ok(Some(Snapshot { tensors: tensors.collect::<Result<_, TrainerError>>()? }))
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

    /// The elements of an output of the last step of a mode and batch size; waits for that.
    ///
    /// # Errors
    /// There was no such step, or it has no such output.
    pub fn read(&mut self, mode: Mode, batch: usize, name: &str) -> Result<Vec<f32>, TrainerError> {
        let signature = self.program.signature(mode, batch)?;
        Ok(self.engine.read_output(mode, &signature, name)?)
    }

    /// The elements of an output of the last step of a mode, whatever its batch was; waits for it.
    ///
    /// # Errors
    /// There was no such step, or it has no such output.
    pub fn read_last(&mut self, mode: Mode, name: &str) -> Result<Vec<f32>, TrainerError> {
        let last = &self.last[place(mode)];
        // What was not run says so by the usual signature.
        let signature = match last.types.is_empty() {
            true => self.program.signature(mode, 1)?,
            false => last.signature()?,
        };
        Ok(self.engine.read_output(mode, &signature, name)?)
    }

    /// An output or a gradient ([`gradient_name`](crate::program::gradient_name)) of the last step of
    /// training, where the program [keeps](TrainingProgram::keep) them.
    ///
    /// # Errors
    /// There was no step, or it has no such output.
    pub fn reading(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        match self.readings.as_ref().and_then(|readings| readings.get(name)) {
            Some(values) => Ok(values.clone()),
            None => self.read_last(Mode::Train, name),
        }
    }

    /// Copies outputs and gradients to the host before a step of another mode takes their memory.
    fn keep_readings(&mut self) -> Result<(), TrainerError> {
        let stepped = !self.last[place(Mode::Train)].types.is_empty();
        if !self.program.keeps() || !stepped || self.readings.is_some() {
            return Ok(());
        }
        let parameters = self.program.model().parameters().iter();
        let frozen: Vec<&str> = self.program.frozen().collect();
        let learned = parameters.filter(|p| !frozen.contains(&p.info.name.as_str()));
        let gradients = learned.map(|parameter| gradient_name(&parameter.info.name));
        let outputs = self.program.model().outputs().iter().map(|output| output.name.clone());
        let names: Vec<String> = gradients.chain(outputs).collect();
        let mut readings = Readings::new();
        for name in names {
            let values = self.read_last(Mode::Train, &name)?;
            readings.insert(name, values);
        }
        self.readings = Some(readings);
        Ok(())
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
