//! What is put to the test: something that runs a program.

use std::collections::{BTreeMap, HashMap};

use onestep_engine::Program;
use onestep_engine::reference::Array;

use crate::error::ConformanceError;

/// Tensors by name.
pub type Tensors = HashMap<String, Array>;

/// A program with everything it starts from.
#[derive(Clone, Debug)]
pub struct Run {
    /// The program.
    pub program: Program,
    /// The parameters and the states before the first step, by the names of their leaves.
    pub initial: Tensors,
    /// One entry a step.
    pub steps: Vec<Feeds>,
    /// The seed of the random numbers.
    pub seed: u64,
    /// The number of the first step: it keys the random numbers, and is the scalar `step`.
    pub first_step: u64,
}

/// What one step is given.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    /// The inputs.
    pub inputs: Tensors,
    /// The scalars, such as the learning rate.
    pub scalars: HashMap<String, f32>,
}

impl Feeds {
    /// An input by name.
    pub(crate) fn input(&self, name: &str) -> Result<&Array, ConformanceError> {
        self.inputs.get(name).ok_or_else(|| ConformanceError::Missing {
            case: "a step's feeds".to_owned(),
            missing: format!("input `{name}`"),
        })
    }
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// For each step: the loss, the program's outputs by name, `grad.NAME` where the program keeps
    /// gradients, the reports by name, and `param.NAME` after the step for programs that train.
    pub steps: Vec<BTreeMap<String, Array>>,
    /// At the end: `param.NAME`, `state.NAME` (running statistics) and `KIND.NAME` (the
    /// optimizer's state, such as `exp_avg.conv1.weight`).
    pub last: BTreeMap<String, Array>,
}

/// Something that runs programs: the engine's f64 evaluator, or an executor.
pub trait Subject {
    /// Its name in reports.
    fn name(&self) -> String;

    /// Runs all steps of a program.
    ///
    /// # Errors
    /// The subject's own errors, as text.
    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError>;
}
