//! Answers for several threads, without what only training needs.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use onestep_data::{Pipeline, SampleRng, Scaling};
use onestep_engine::{DType, Engine, Feeds, Mode, Scalars, Signature, StateLayout, StateTable};
use onestep_memory::{HostData, HostValues, MemoryManager, Shape, Tensor};

use crate::TrainerError;
use crate::device::{ExecutorOptions, executor};
use crate::host::HostFields;
use crate::program::{Asked, TrainingProgram};
use crate::snapshot::Snapshot;
use crate::trainer::{Prediction, Trainer};

/// How a [`Predictor`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictorOptions {
    /// Samples that are computed at a time, always as many, so that each answer takes the same time;
    /// fewer are filled up. Default 1.
    pub batch: usize,
    /// Answers that are computed at the same time, each on threads of its own; more callers wait.
    /// Default 1.
    pub lanes: usize,
    /// Threads for each; default 1.
    pub threads: usize,
    /// The device; default `cpu`. Others have one lane.
    pub device: String,
}

impl Default for PredictorOptions {
    fn default() -> Self {
        PredictorOptions { batch: 1, lanes: 1, threads: 1, device: "cpu".to_owned() }
    }
}

/// Applies a model for any number of threads at a time. It holds the weights once and none of the
/// optimizer's state, computes batches of one size, and once it is warm it allocates nothing.
///
/// ```
/// use onestep_trainer::{PredictorOptions, Trainer, TrainerConfig, TrainerError, factory};
///
/// let mut trainer = Trainer::new(factory::mlp([2], &[8], 3), TrainerConfig::default())?;
/// let wanted = trainer.predict(&[0.5, -0.5])?;
/// let predictor = trainer.predictor(&PredictorOptions { lanes: 2, ..Default::default() })?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let mut answer = [0.0; 3];
///             predictor.predict_into(&[0.5, -0.5], &mut answer).unwrap();
///             assert!(wanted.values.iter().zip(&answer).all(|(a, b)| (a - b).abs() < 1e-5));
///         });
///     }
/// });
/// # Ok::<(), TrainerError>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    lanes: Vec<Mutex<Lane>>,
    /// Where the next caller looks first.
    next: AtomicUsize,
    inputs: Vec<Input>,
    output: Shape,
    batch: usize,
    scaling: Option<Scaling>,
    program: TrainingProgram,
}

/// An input of the model, with the transforms that count in evaluation too.
#[derive(Debug)]
struct Input {
    shape: Shape,
    pipeline: Pipeline,
}

/// One answer at a time.
struct Lane {
    engine: Engine,
    signature: Signature,
    output: String,
    /// A batch of each input, in the model's order.
    names: Vec<String>,
    feed: Vec<Tensor>,
    values: Vec<HostValues>,
    answers: Vec<f32>,
    scratch: Vec<f32>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("signature", &self.signature).finish_non_exhaustive()
    }
}

impl Trainer {
    /// Answers for several threads with the weights in use, without what only training needs; later
    /// training does not change them.
    ///
    /// # Errors
    /// Options that make no sense, and a device without room.
    pub fn predictor(&mut self, options: &PredictorOptions) -> Result<Predictor, TrainerError> {
        self.collect(true)?;
        let of_data = (self.pipeline().clone(), self.record().targets.clone());
        let averaged = self.learner().averaged()?;
        let weights = Weights { trained: self.learner().state(), averaged: averaged.as_ref() };
        Predictor::new(self.learner().program(), weights, of_data, options)
    }
}

/// The weights in use.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// Those that are trained.
    pub(crate) trained: &'a StateTable,
    /// What stands in place of some of them.
    pub(crate) averaged: Option<&'a Snapshot>,
}

impl Weights<'_> {
    /// A copy of them where a layout has them.
    pub(crate) fn table(
        self,
        layout: StateLayout,
        memory: &MemoryManager,
    ) -> Result<StateTable, TrainerError> {
        let table = StateTable::new(layout, memory)?;
        table.carry_over(self.trained)?;
        for (name, values) in self.averaged.iter().flat_map(|averaged| &averaged.tensors) {
            table.write(name, values)?;
        }
        Ok(table)
    }
}

impl Predictor {
    /// The predictor of a checkpoint, with the weights that it was saved with in use.
    ///
    /// # Errors
    /// Those of [`Trainer::load`], and options that make no sense.
    pub fn load(
        folder: impl AsRef<Path>,
        options: &PredictorOptions,
    ) -> Result<Self, TrainerError> {
        Trainer::load(folder)?.predictor(options)
    }

    /// Of a program whose weights are in `weights`, which are copied.
    pub(crate) fn new(
        program: &TrainingProgram,
        weights: Weights<'_>,
        (pipeline, scaling): (Pipeline, Option<Scaling>),
        options: &PredictorOptions,
    ) -> Result<Self, TrainerError> {
        let PredictorOptions { batch, lanes, threads, device } = options;
        for (option, got) in [("batch", batch), ("lanes", lanes), ("threads", threads)] {
            if *got == 0 {
                return Err(TrainerError::option(option, "at least 1", got));
            }
        }
        if device != "cpu" && *lanes > 1 {
            let wanted = format!("1 on the device {device}: only those of cpu share weights");
            return Err(TrainerError::option("lanes", wanted, lanes));
        }
        let signature = program.signature(Mode::Predict, *batch)?;
        let mut state: Option<StateTable> = None;
        let mut all = Vec::with_capacity(*lanes);
        for _ in 0..*lanes {
            let options = ExecutorOptions { threads: *threads, memory_budget: None };
            let executor = executor(device, &options)?;
            let shared = match &state {
                Some(state) => state.clone(),
                None => {
                    let table = weights.table(program.inference_layout()?, executor.memory())?;
                    state.insert(table).clone()
                }
            };
            let source = program.inference_source();
            let mut engine = Engine::with_state(executor, shared, source);
            engine.prepare(Mode::Predict, &signature)?;
            all.push(Mutex::new(Lane::new(engine, signature.clone(), program)?));
        }
        Ok(Predictor {
            lanes: all,
            next: AtomicUsize::new(0),
            inputs: inputs(program, &pipeline)?,
            output: program.output_shape().clone(),
            batch: *batch,
            scaling,
            program: program.clone(),
        })
    }

    /// What it predicts with.
    pub fn program(&self) -> &TrainingProgram {
        &self.program
    }

    /// Answers for any number of samples, in batches of [`PredictorOptions::batch`]: of the one input,
    /// or of several by name.
    ///
    /// # Errors
    /// Data that does not fit the model, by the name of the input, and the device's errors.
    pub fn predict<'a>(
        &self,
        inputs: impl Into<HostFields<'a>>,
    ) -> Result<Prediction, TrainerError> {
        let inputs = inputs.into();
        let samples = self.program.check_inputs(inputs)?;
        let mut values = vec![0.0; samples * self.output.elements()];
        self.answer(inputs, samples, &mut values)?;
        Ok(Prediction { shape: self.output.clone(), values })
    }

    /// The same into memory of the caller's, which has as many elements as the answers. Once each lane
    /// has answered, this allocates nothing.
    ///
    /// # Errors
    /// As for [`Predictor::predict`], and memory of another size.
    pub fn predict_into<'a>(
        &self,
        inputs: impl Into<HostFields<'a>>,
        out: &mut [f32],
    ) -> Result<(), TrainerError> {
        let inputs = inputs.into();
        let samples = self.program.check_inputs(inputs)?;
        let wanted = samples * self.output.elements();
        if out.len() != wanted {
            let wanted = format!("{wanted} elements for {samples} samples");
            let got = format!("{} elements", out.len());
            return Err(TrainerError::mismatch("output", wanted, got));
        }
        self.answer(inputs, samples, out)
    }

    /// Answers checked inputs.
    fn answer(
        &self,
        inputs: HostFields<'_>,
        samples: usize,
        out: &mut [f32],
    ) -> Result<(), TrainerError> {
        let mut lane = self.lane();
        let each = self.output.elements().max(1);
        for (out, first) in out.chunks_mut(each * self.batch).zip((0..samples).step_by(self.batch))
        {
            let count = self.batch.min(samples - first);
            for (place, input) in self.inputs.iter().enumerate() {
                let size = input.shape.elements();
                let data = self.program.input_of(inputs, place)?;
                lane.fill(place, input, data.part(first * size..(first + count) * size), count)?;
            }
            lane.run()?;
            out.copy_from_slice(&lane.answers[..out.len()]);
            if let Some(scaling) = &self.scaling {
                scaling.restore(out);
            }
        }
        Ok(())
    }

    /// A lane that is free, or the next one to become so.
    fn lane(&self) -> MutexGuard<'_, Lane> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        for step in 0..self.lanes.len() {
            match self.lanes[(first + step) % self.lanes.len()].try_lock() {
                Ok(lane) => return lane,
                // Each answer writes all of a lane's memory before it reads any.
                Err(TryLockError::Poisoned(lane)) => return lane.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.lanes[first].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inputs of a program, each with its transforms.
fn inputs(program: &TrainingProgram, pipeline: &Pipeline) -> Result<Vec<Input>, TrainerError> {
    let input = |asked: &Asked| {
        let pipeline = match asked.dtype {
            DType::F32 => program.pipeline_of(pipeline, &asked.name),
            _ => Pipeline::new(),
        };
        if pipeline.has_steps(false) {
            pipeline.check(&asked.shape)?;
        }
        Ok(Input { shape: asked.shape.clone(), pipeline })
    };
    program.asked(Mode::Predict).iter().map(input).collect()
}

impl Lane {
    fn new(
        engine: Engine,
        signature: Signature,
        program: &TrainingProgram,
    ) -> Result<Self, TrainerError> {
        let (mut names, mut feed, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for asked in program.asked(Mode::Predict) {
            let shape = asked.shape.with_batch(signature.batch())?;
            values.push(HostValues::zeros(asked.dtype, shape.elements()));
            feed.push(engine.memory().zeros(shape, asked.dtype)?);
            names.push(asked.name.clone());
        }
        let answers = vec![0.0; program.output_shape().elements() * signature.batch()];
        let output = program.output().to_owned();
        Ok(Lane { engine, signature, output, names, feed, values, answers, scratch: Vec::new() })
    }

    /// Takes so many samples of an input; those that are missing to a batch are as they were.
    fn fill(
        &mut self,
        place: usize,
        input: &Input,
        data: HostData<'_>,
        count: usize,
    ) -> Result<(), TrainerError> {
        let (values, size) = (&mut self.values[place], input.shape.elements());
        values.begin_with(data);
        let HostValues::F32(values) = values else { return Ok(()) };
        if !input.pipeline.has_steps(false) {
            return Ok(());
        }
        for sample in values[..count * size].chunks_mut(size.max(1)) {
            let mut rng = SampleRng::new(0, 0, 0);
            input.pipeline.apply(sample, &input.shape, false, &mut rng, &mut self.scratch)?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), TrainerError> {
        for (tensor, values) in self.feed.iter().zip(&self.values) {
            values.as_data().write_to(tensor)?;
        }
        let feeds = Feeds::named(&self.names, &self.feed);
        self.engine.submit(Mode::Predict, feeds, &Scalars::default())?.wait()?;
        let out = &mut self.answers;
        Ok(self.engine.read_output_into(Mode::Predict, &self.signature, &self.output, out)?)
    }
}
