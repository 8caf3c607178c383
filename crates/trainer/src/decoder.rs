//! One text at a time, of whose positions the device keeps keys and values.

use onestep_engine::{DType, Engine, Feeds, Mode, Scalars, Signature, StepCounters};
use onestep_layers::POSITION;
use onestep_memory::Tensor;

use crate::TrainerError;
use crate::device::{ExecutorOptions, executor};
use crate::predictor::{PredictorOptions, Weights};
use crate::program::TrainingProgram;

/// Gives the logits of a text either of all its positions at once or of one more, which is one call of the
/// device and allocates nothing.
pub(crate) struct Decoder {
    engine: Engine,
    whole: Pass,
    step: Pass,
    output: String,
}

/// What is fed to a program.
struct Pass {
    signature: Signature,
    names: Vec<String>,
    feeds: Vec<Tensor>,
}

impl Decoder {
    /// # Errors
    /// A layer that cannot work on one position after the other, by its name, and a device without room.
    pub(crate) fn new(
        program: &TrainingProgram,
        weights: Weights<'_>,
        options: &PredictorOptions,
    ) -> Result<Self, TrainerError> {
        let layout = program.decoding_layout()?;
        let threads = ExecutorOptions { threads: options.threads, memory_budget: None };
        let executor = executor(&options.device, &threads)?;
        let table = weights.table(layout, executor.memory())?;
        let mut engine = Engine::with_state(executor, table, program.decoding_source());
        let whole = Pass::new(&mut engine, program.signature(Mode::Predict, 1)?)?;
        let step = Pass::new(&mut engine, program.step_signature()?)?;
        Ok(Decoder { engine, whole, step, output: program.output().to_owned() })
    }

    /// All positions of a window: `[tokens, positions]`.
    pub(crate) fn prefill(&mut self, window: &[i32], out: &mut [f32]) -> Result<(), TrainerError> {
        self.whole.feeds[0].write(window)?;
        self.whole.run(&mut self.engine, &self.output, out)
    }

    /// One more position, which sees those before it: `[tokens]`.
    pub(crate) fn step(
        &mut self,
        token: i32,
        position: usize,
        out: &mut [f32],
    ) -> Result<(), TrainerError> {
        self.step.feeds[0].write(&[token])?;
        self.step.feeds[1].write(&[i32::try_from(position).unwrap_or(i32::MAX)])?;
        self.step.run(&mut self.engine, &self.output, out)
    }

    pub(crate) fn counters(&self) -> StepCounters {
        self.engine.counters()
    }
}

impl Pass {
    fn new(engine: &mut Engine, signature: Signature) -> Result<Self, TrainerError> {
        engine.prepare(Mode::Predict, &signature)?;
        let (mut names, mut feeds) = (Vec::new(), Vec::new());
        for (name, ty) in signature.fields() {
            names.push(name.clone());
            feeds.push(engine.memory().zeros(ty.shape.clone(), DType::I32)?);
        }
        Ok(Pass { signature, names, feeds })
    }

    fn run(&self, engine: &mut Engine, output: &str, out: &mut [f32]) -> Result<(), TrainerError> {
        let feeds = Feeds::named(&self.names, &self.feeds);
        engine.submit(Mode::Predict, feeds, &Scalars::default())?.wait()?;
        Ok(engine.read_output_into(Mode::Predict, &self.signature, output, out)?)
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("position", &POSITION).finish_non_exhaustive()
    }
}
