//! The engine: one model's programs on one executor, compiled when first needed.

use std::collections::HashMap;

use onestep_memory::{MemoryManager, Shape};

use crate::counters::StepCounters;
use crate::error::EngineError;
use crate::executor::{Executor, Feeds, KernelTime, Scalars, Step};
use crate::graph::Type;
use crate::ops::LeafKind;
use crate::plan::Footprint;
use crate::program::{Mode, Program};
use crate::state::{StateLayout, StateTable};
use crate::ticket::Ticket;

/// Makes the program of a mode for a batch size.
pub type ProgramSource = Box<dyn Fn(Mode, usize) -> Result<Program, EngineError> + Send>;

struct Compiled {
    step: Box<dyn Step>,
    feeds: Vec<(String, Type)>,
}

/// Runs the programs of one model. Programs are compiled when a batch of a new size arrives and
/// kept, so a smaller last batch costs one compilation and nothing after that.
pub struct Engine {
    executor: Box<dyn Executor>,
    state: StateTable,
    source: ProgramSource,
    compiled: HashMap<(Mode, usize), Compiled>,
    poisoned: Option<String>,
}

impl Engine {
    /// Allocates the state table on the executor's device, filled with its initial values.
    ///
    /// # Errors
    /// Out of memory or over the budget.
    pub fn new(
        executor: Box<dyn Executor>,
        layout: StateLayout,
        source: ProgramSource,
    ) -> Result<Self, EngineError> {
        let state = StateTable::new(layout, executor.memory())?;
        Ok(Engine { executor, state, source, compiled: HashMap::new(), poisoned: None })
    }

    /// Compiles the program of a mode and batch size unless that was done before, and tells the
    /// memory it takes.
    ///
    /// # Errors
    /// The program cannot be built, or would not fit in memory.
    pub fn prepare(&mut self, mode: Mode, batch: usize) -> Result<Footprint, EngineError> {
        Ok(self.compiled(mode, batch)?.step.footprint())
    }

    fn compiled(&mut self, mode: Mode, batch: usize) -> Result<&mut Compiled, EngineError> {
        // Two look-ups, since a borrow from the first would forbid the insertion.
        if !self.compiled.contains_key(&(mode, batch)) {
            let program = (self.source)(mode, batch)?;
            let graph = &program.graph;
            let feeds = graph
                .leaves(LeafKind::Input)
                .map(|(name, value)| (name.to_owned(), graph.type_of(value).clone()))
                .collect();
            let step = self.executor.compile(&program, &self.state)?;
            self.compiled.insert((mode, batch), Compiled { step, feeds });
        }
        let missing = || EngineError::Invariant { what: "a compiled step is gone".into() };
        self.compiled.get_mut(&(mode, batch)).ok_or_else(missing)
    }

    /// Runs one step on a batch; the batch size is the first axis of the first tensor.
    ///
    /// # Errors
    /// A feed that does not fit, a program that cannot be compiled, or a step that failed; after
    /// the latter the engine is poisoned until [`Engine::recover`].
    pub fn submit(
        &mut self,
        mode: Mode,
        feeds: Feeds<'_>,
        scalars: &Scalars,
    ) -> Result<Ticket, EngineError> {
        let harmless = |error: &EngineError| matches!(error, EngineError::MissingScalar { .. });
        self.run(mode, feeds, |step| step.submit(feeds, scalars), harmless)
    }

    /// Runs one step as [`Engine::submit`] does, and times each of its kernels.
    ///
    /// # Errors
    /// As for [`Engine::submit`], and [`EngineError::Unsupported`] where the device does not run
    /// kernel by kernel.
    pub fn profile(
        &mut self,
        mode: Mode,
        feeds: Feeds<'_>,
        scalars: &Scalars,
    ) -> Result<Vec<KernelTime>, EngineError> {
        // A device without profiles says so before it runs anything.
        let harmless = |error: &EngineError| {
            matches!(error, EngineError::MissingScalar { .. } | EngineError::Unsupported { .. })
        };
        self.run(mode, feeds, |step| step.profile(feeds, scalars), harmless)
    }

    /// Runs the step for a batch, after all checks. An error that is not harmless poisons.
    fn run<T>(
        &mut self,
        mode: Mode,
        feeds: Feeds<'_>,
        run: impl FnOnce(&mut dyn Step) -> Result<T, EngineError>,
        harmless: impl FnOnce(&EngineError) -> bool,
    ) -> Result<T, EngineError> {
        if let Some(reason) = &self.poisoned {
            return Err(EngineError::Poisoned { reason: reason.clone() });
        }
        let batch = feeds.tensors.first().and_then(|t| t.shape().first().copied()).unwrap_or(0);
        if batch == 0 {
            return Err(EngineError::Feed {
                name: "batch".into(),
                wanted: "at least one sample".into(),
                got: "none".into(),
            });
        }
        let compiled = self.compiled(mode, batch)?;
        check_feeds(&compiled.feeds, feeds)?;
        let result = run(&mut *compiled.step);
        if let Err(error) = &result {
            self.poisoned = (!harmless(error)).then(|| error.to_string());
        }
        result
    }

    /// The elements of an output of the last step of a mode and batch size. Waits for the step.
    ///
    /// # Errors
    /// There was no such step, or it has no such output.
    pub fn read_output(
        &mut self,
        mode: Mode,
        batch: usize,
        name: &str,
    ) -> Result<Vec<f32>, EngineError> {
        self.compiled(mode, batch)?.step.read_output(name)
    }

    /// The names of the scalars in the tickets of a mode.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub fn report_names(&mut self, mode: Mode, batch: usize) -> Result<Vec<String>, EngineError> {
        Ok(self.compiled(mode, batch)?.step.reports().to_vec())
    }

    /// The plan of a mode and batch size as text.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub fn dump(&mut self, mode: Mode, batch: usize) -> Result<String, EngineError> {
        Ok(self.compiled(mode, batch)?.step.dump())
    }

    /// The state table. Read and write it only when no step is in flight.
    pub fn state(&self) -> &StateTable {
        &self.state
    }

    /// Declares the state good again after a failed step, once it was restored; then the next
    /// step runs as if none had failed.
    pub fn recover(&mut self) {
        self.poisoned = None;
    }

    /// What the executor has done so far.
    pub fn counters(&self) -> StepCounters {
        self.executor.counters()
    }

    /// The device's name.
    pub fn device_name(&self) -> String {
        self.executor.name()
    }

    /// The memory of the device.
    pub fn memory(&self) -> &MemoryManager {
        self.executor.memory()
    }
}

fn check_feeds(wanted: &[(String, Type)], feeds: Feeds<'_>) -> Result<(), EngineError> {
    if wanted.len() != feeds.tensors.len() {
        return Err(EngineError::Feed {
            name: "batch".into(),
            wanted: format!("{} tensors", wanted.len()),
            got: feeds.tensors.len().to_string(),
        });
    }
    for ((name, ty), tensor) in wanted.iter().zip(feeds.tensors) {
        let shape: &Shape = tensor.shape();
        if shape != &ty.shape || tensor.dtype() != ty.dtype {
            return Err(EngineError::Feed {
                name: name.clone(),
                wanted: ty.to_string(),
                got: format!("{}{shape}", tensor.dtype()),
            });
        }
    }
    Ok(())
}
