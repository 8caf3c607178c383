//! An executor as a [`Subject`]: each program is compiled for it and run by one call a step, as in
//! training.

use std::collections::BTreeMap;

use onestep_engine::ops::LeafKind;
use onestep_engine::reference::Array;
use onestep_engine::{
    DType, Executor, Feeds as StepFeeds, Graph, Mode, Program, Scalars, Shape, StateTable, Step,
};
use onestep_memory::{MemoryManager, Tensor};

use crate::error::ConformanceError;
use crate::lowered::{layout, outcome_name};
use crate::subject::{Feeds, Outcome, Run, Subject};

/// Runs programs on executors that a factory makes: a new one for each run.
///
/// ```no_run
/// # use onestep_backend_cpu::{CpuError, CpuExecutor, CpuOptions};
/// # fn executor() -> Result<Box<dyn onestep_engine::Executor>, CpuError> {
/// #     Ok(Box::new(CpuExecutor::new(CpuOptions::default())?))
/// # }
/// use onestep_conformance::{OnExecutor, run_all};
/// # fn main() -> Result<(), String> {
/// run_all(&OnExecutor::new(executor)).verdict()
/// # }
/// ```
pub struct OnExecutor<F> {
    factory: F,
}

impl<F, E> OnExecutor<F>
where
    F: Fn() -> Result<Box<dyn Executor>, E>,
    E: std::fmt::Display,
{
    /// A subject whose executors come from `factory`.
    pub fn new(factory: F) -> Self {
        OnExecutor { factory }
    }

    fn executor(&self) -> Result<Box<dyn Executor>, ConformanceError> {
        (self.factory)().map_err(|e| ConformanceError::subject("making an executor", e))
    }
}

impl<F, E> Subject for OnExecutor<F>
where
    F: Fn() -> Result<Box<dyn Executor>, E>,
    E: std::fmt::Display,
{
    fn name(&self) -> String {
        self.executor().map_or_else(|e| e.to_string(), |e| e.name())
    }

    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError> {
        let mut executor = self.executor()?;
        let state = state_table(run, executor.memory())?;
        let mut step = executor.compile(&run.program, &state)?;
        let mut outcome = Outcome::default();
        for (i, feeds) in run.steps.iter().enumerate() {
            let results = submit(run, i, feeds, executor.memory(), &mut *step, &state)?;
            outcome.steps.push(results);
        }
        outcome.last = read_state(&state)?;
        Ok(outcome)
    }
}

fn state_table(run: &Run, memory: &MemoryManager) -> Result<StateTable, ConformanceError> {
    let layout = layout(&run.program)?;
    let table = StateTable::new(layout, memory)?;
    for (name, array) in &run.initial {
        table.write(name, &singles(array))?;
    }
    table.start_copies()?;
    Ok(table)
}

fn singles(array: &Array) -> Vec<f32> {
    array.data.iter().map(|&x| x as f32).collect()
}

fn submit(
    run: &Run,
    index: usize,
    feeds: &Feeds,
    memory: &MemoryManager,
    step: &mut dyn Step,
    state: &StateTable,
) -> Result<BTreeMap<String, Array>, ConformanceError> {
    let tensors = feed_tensors(&run.program.graph, feeds, memory)?;
    let mut scalars = Scalars::new(run.seed);
    scalars.step = run.first_step + index as u64;
    for (name, &value) in &feeds.scalars {
        scalars.set(name, value);
    }
    let reports = step.submit(StepFeeds::new(&tensors), &scalars)?.wait()?;
    let mut results = BTreeMap::new();
    for (name, &value) in step.reports().iter().zip(reports.values()) {
        results.insert(name.clone(), crate::reference::scalar(f64::from(value)));
    }
    for (name, shape) in outputs(&run.program)? {
        let data = step.read_output(&name)?.into_iter().map(f64::from).collect();
        results.insert(name, Array::new(shape, data)?);
    }
    if run.program.mode == Mode::Train {
        results
            .extend(read_state(state)?.into_iter().filter(|(name, _)| name.starts_with("param.")));
    }
    Ok(results)
}

/// The outputs of a program by name, with their shapes.
fn outputs(program: &Program) -> Result<Vec<(String, Shape)>, ConformanceError> {
    let shape = |value| program.graph.shape(value).clone();
    let mut all: Vec<(String, Shape)> =
        program.outputs.iter().map(|n| (n.name.clone(), shape(n.value))).collect();
    if program.keep_gradients {
        let parameters = program.groups.iter().flat_map(|g| &g.parameters);
        all.extend(parameters.map(|p| (format!("grad.{}", p.name), p.shape.clone())));
    }
    Ok(all)
}

fn feed_tensors(
    graph: &Graph,
    feeds: &Feeds,
    memory: &MemoryManager,
) -> Result<Vec<Tensor>, ConformanceError> {
    let mut tensors = Vec::new();
    for (name, value) in graph.leaves(LeafKind::Input) {
        let array = feeds.input(name)?;
        let shape = array.shape.clone();
        tensors.push(match graph.type_of(value).dtype {
            DType::I32 => {
                let data: Vec<i32> = array.data.iter().map(|&x| x as i32).collect();
                memory.from_slice(shape, &data)?
            }
            _ => memory.from_slice(shape, &singles(array))?,
        });
    }
    Ok(tensors)
}

/// Everything in a state table, named as in [`Outcome::last`].
fn read_state(state: &StateTable) -> Result<BTreeMap<String, Array>, ConformanceError> {
    let entries = state.layout().entries().iter();
    entries
        .map(|entry| {
            let name = outcome_name(entry.kind, &entry.name);
            let data = state.read(&entry.name)?.into_iter().map(f64::from).collect();
            Ok((name, Array::new(entry.shape.clone(), data)?))
        })
        .collect()
}
