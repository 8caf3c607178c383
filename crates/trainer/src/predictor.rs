//! Answers for several threads, without what only training needs.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use onestep_data::{Pipeline, SampleRng, Scaling};
use onestep_engine::{DType, Engine, Feeds, Mode, Scalars, Signature, StateTable};
use onestep_memory::{Shape, Tensor};

use crate::TrainerError;
use crate::device::{ExecutorOptions, executor};
use crate::program::TrainingProgram;
use crate::snapshot::Snapshot;
use crate::trainer::{HostData, Prediction, Trainer};

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
    input: Shape,
    output: Shape,
    dtype: DType,
    batch: usize,
    pipeline: Pipeline,
    scaling: Option<Scaling>,
    program: TrainingProgram,
}

/// One answer at a time.
struct Lane {
    engine: Engine,
    signature: Signature,
    output: String,
    feed: [Tensor; 1],
    numbers: Vec<f32>,
    indices: Vec<i32>,
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
        let weights = (self.learner().state(), averaged.as_ref());
        Predictor::new(self.learner().program(), weights, of_data, options)
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
        (weights, averaged): (&StateTable, Option<&Snapshot>),
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
        if program.model_inputs() != 1 {
            let wanted = "a model with one input";
            let got = format!("{} inputs", program.model_inputs());
            return Err(TrainerError::mismatch("predictor", wanted, got));
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
                    let table = StateTable::new(program.inference_layout()?, executor.memory())?;
                    table.carry_over(weights)?;
                    if let Some(averaged) = averaged {
                        for (name, values) in &averaged.tensors {
                            table.write(name, values)?;
                        }
                    }
                    state.insert(table).clone()
                }
            };
            let source = program.inference_source();
            let mut engine = Engine::with_state(executor, shared, source);
            engine.prepare(Mode::Predict, &signature)?;
            all.push(Mutex::new(Lane::new(engine, signature.clone(), program)?));
        }
        let model = program.model();
        Ok(Predictor {
            lanes: all,
            next: AtomicUsize::new(0),
            input: model.input_shape().clone(),
            output: program.output_shape().clone(),
            dtype: signature.fields()[0].1.dtype,
            batch: *batch,
            pipeline,
            scaling,
            program: program.clone(),
        })
    }

    /// What it predicts with.
    pub fn program(&self) -> &TrainingProgram {
        &self.program
    }

    /// Answers for any number of samples, in batches of [`PredictorOptions::batch`].
    ///
    /// # Errors
    /// Data that does not fit the model, and the device's errors.
    pub fn predict<'a>(&self, input: impl Into<HostData<'a>>) -> Result<Prediction, TrainerError> {
        let input = input.into();
        let each = self.output.elements();
        let mut values = vec![0.0; input.len() / self.input.elements().max(1) * each];
        self.predict_into(input, &mut values)?;
        Ok(Prediction { shape: self.output.clone(), values })
    }

    /// The same into memory of the caller's, which has as many elements as the answers. Once each lane
    /// has answered, this allocates nothing.
    ///
    /// # Errors
    /// As for [`Predictor::predict`], and memory of another size.
    pub fn predict_into<'a>(
        &self,
        input: impl Into<HostData<'a>>,
        out: &mut [f32],
    ) -> Result<(), TrainerError> {
        let input = input.into();
        let (each, answer) = (self.input.elements().max(1), self.output.elements().max(1));
        self.check(input, out.len())?;
        let mut lane = self.lane();
        let lane = &mut *lane;
        for (part, out) in out.chunks_mut(answer * self.batch).enumerate() {
            let first = part * self.batch * each;
            let count = out.len() / answer * each;
            lane.fill(input.part(first..first + count));
            if self.pipeline.has_steps(false) {
                for sample in lane.numbers[..count].chunks_mut(each) {
                    let mut rng = SampleRng::new(0, 0, 0);
                    let (shape, scratch) = (&self.input, &mut lane.scratch);
                    self.pipeline.apply(sample, shape, false, &mut rng, scratch)?;
                }
            }
            lane.run(self.dtype)?;
            out.copy_from_slice(&lane.answers[..out.len()]);
            if let Some(scaling) = &self.scaling {
                scaling.restore(out);
            }
        }
        Ok(())
    }

    fn check(&self, input: HostData<'_>, room: usize) -> Result<(), TrainerError> {
        if input.dtype() != self.dtype {
            return Err(TrainerError::mismatch("input", self.dtype, input.dtype()));
        }
        let (each, got) = (self.input.elements().max(1), input.len());
        if got == 0 || !got.is_multiple_of(each) {
            let wanted = format!("one or more samples of {}, {each} elements each", self.input);
            return Err(TrainerError::mismatch("input", wanted, format!("{got} elements")));
        }
        if let (HostData::I32(indices), Some(limit)) = (input, self.program.model().index_limit()) {
            limit.check(indices, self.input.dims())?;
        }
        let wanted = got / each * self.output.elements().max(1);
        if room != wanted {
            let wanted = format!("{wanted} elements for {} samples", got / each);
            return Err(TrainerError::mismatch("output", wanted, format!("{room} elements")));
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

impl Lane {
    fn new(
        engine: Engine,
        signature: Signature,
        program: &TrainingProgram,
    ) -> Result<Self, TrainerError> {
        let ty = &signature.fields()[0].1;
        let (elements, batch) = (ty.shape.elements(), signature.batch());
        let feed = [engine.memory().zeros(ty.shape.clone(), ty.dtype)?];
        let whole = |dtype: DType| if ty.dtype == dtype { elements } else { 0 };
        let (numbers, indices) = (vec![0.0; whole(DType::F32)], vec![0; whole(DType::I32)]);
        let answers = vec![0.0; program.output_shape().elements() * batch];
        let output = program.output().to_owned();
        Ok(Lane { engine, output, feed, numbers, indices, answers, scratch: Vec::new(), signature })
    }

    /// Takes some samples; those that are missing to a batch are as they were.
    fn fill(&mut self, input: HostData<'_>) {
        match input {
            HostData::F32(values) => self.numbers[..values.len()].copy_from_slice(values),
            HostData::I32(values) => self.indices[..values.len()].copy_from_slice(values),
        }
    }

    fn run(&mut self, dtype: DType) -> Result<(), TrainerError> {
        match dtype {
            DType::I32 => self.feed[0].write(&self.indices)?,
            _ => self.feed[0].write(&self.numbers)?,
        }
        let feeds = Feeds::new(&self.feed);
        self.engine.submit(Mode::Predict, feeds, &Scalars::default())?.wait()?;
        let out = &mut self.answers;
        Ok(self.engine.read_output_into(Mode::Predict, &self.signature, &self.output, out)?)
    }
}
