//! The engine: one model's programs on one executor, compiled when first needed.

use onestep_memory::MemoryManager;

use crate::cache::{Compiled, PlanCache};
use crate::counters::StepCounters;
use crate::error::EngineError;
use crate::executor::{Executor, Feeds, KernelTime, Step};
use crate::mode::Mode;
use crate::ops::LeafKind;
use crate::plan::Footprint;
use crate::program::Program;
use crate::scalars::Scalars;
use crate::signature::Signature;
use crate::state::{StateLayout, StateTable};
use crate::ticket::Ticket;

/// Makes the program of a mode for batches of a signature. Its input leaves have the names of the
/// fields that it uses.
pub type ProgramSource = Box<dyn Fn(Mode, &Signature) -> Result<Program, EngineError> + Send>;

/// How many compiled programs an [`Engine`] keeps unless told otherwise.
pub const PLANS: usize = 16;

/// Runs the programs of one model. Programs are compiled when a batch of a new signature arrives
/// and kept, so a smaller last batch costs one compilation and nothing after that. A bounded number
/// is kept; those that were used last stay.
pub struct Engine {
    executor: Box<dyn Executor>,
    state: StateTable,
    source: ProgramSource,
    compiled: PlanCache,
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
        Ok(Engine { executor, state, source, compiled: PlanCache::new(PLANS), poisoned: None })
    }

    /// An engine on state that is there, such as the weights of another engine that this one only
    /// reads: both use the same memory, which the executor must be able to reach.
    pub fn with_state(
        executor: Box<dyn Executor>,
        state: StateTable,
        source: ProgramSource,
    ) -> Self {
        Engine { executor, state, source, compiled: PlanCache::new(PLANS), poisoned: None }
    }

    /// Takes up other programs with other state, which is filled with its initial values; the device
    /// stays. Returns the state before, to carry over what goes on.
    ///
    /// # Errors
    /// Out of memory or over the budget; nothing has changed then.
    pub fn rebuild(
        &mut self,
        layout: StateLayout,
        source: ProgramSource,
    ) -> Result<StateTable, EngineError> {
        let state = StateTable::new(layout, self.executor.memory())?;
        self.compiled.clear();
        (self.source, self.poisoned) = (source, None);
        Ok(std::mem::replace(&mut self.state, state))
    }

    /// How many compiled programs are kept at most ([`PLANS`] at first); at least one always is.
    pub fn set_plan_limit(&mut self, plans: usize) {
        self.compiled.set_limit(plans);
    }

    /// How many compiled programs are kept now.
    pub fn plans(&self) -> usize {
        self.compiled.len()
    }

    /// Compiles the program of a mode and signature unless that was done before, and tells the
    /// memory it takes.
    ///
    /// # Errors
    /// The program cannot be built, would not fit in memory, or needs a field that the signature
    /// lacks or has with another type. A program to train must use all fields.
    pub fn prepare(&mut self, mode: Mode, signature: &Signature) -> Result<Footprint, EngineError> {
        Ok(self.compiled(mode, signature)?.step.footprint())
    }

    fn find(&mut self, mode: Mode, signature: &Signature) -> Option<&mut Compiled> {
        self.compiled.find(|entry| entry.mode == mode && entry.signature == *signature)
    }

    fn compiled(
        &mut self,
        mode: Mode,
        signature: &Signature,
    ) -> Result<&mut Compiled, EngineError> {
        if self.find(mode, signature).is_none() {
            let program = (self.source)(mode, signature)?;
            let order = order(&program, mode, signature)?;
            self.compiled.make_room_for_one();
            let step = self.executor.compile(&program, &self.state)?;
            let compiled = Compiled::new(mode, signature.clone(), step, order);
            return Ok(self.compiled.insert(compiled));
        }
        // A second look-up, since a borrow from the first would forbid the insertion.
        let missing = || EngineError::Invariant { what: "a compiled step is gone".into() };
        self.find(mode, signature).ok_or_else(missing)
    }

    /// The program for a batch: found by mode, types and names without any allocation, or compiled.
    fn compiled_for(&mut self, mode: Mode, feeds: Feeds<'_>) -> Result<&mut Compiled, EngineError> {
        let suits = |entry: &Compiled| {
            entry.mode == mode && entry.signature.suits(feeds.names, feeds.tensors)
        };
        if self.compiled.find(suits).is_none() {
            let signature = signature_of(mode, feeds)?;
            return self.compiled(mode, &signature);
        }
        let missing = || EngineError::Invariant { what: "a compiled step is gone".into() };
        self.compiled.find(suits).ok_or_else(missing)
    }

    /// Runs one step on a batch. The program is that of the mode and of the batch's signature; feeds
    /// without names need one that was [prepared](Engine::prepare).
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
        self.run(mode, feeds, |step, feeds| step.submit(feeds, scalars), harmless)
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
        self.run(mode, feeds, |step, feeds| step.profile(feeds, scalars), harmless)
    }

    /// Runs the step for a batch. An error that is not harmless poisons.
    fn run<T>(
        &mut self,
        mode: Mode,
        feeds: Feeds<'_>,
        run: impl FnOnce(&mut dyn Step, Feeds<'_>) -> Result<T, EngineError>,
        harmless: impl FnOnce(&EngineError) -> bool,
    ) -> Result<T, EngineError> {
        if let Some(reason) = &self.poisoned {
            return Err(EngineError::Poisoned { reason: reason.clone() });
        }
        let Compiled { step, order, feeds: ordered, .. } = self.compiled_for(mode, feeds)?;
        // Handles only; they go again at once, since the tensors may be a loader's.
        ordered.extend(order.iter().map(|&field| feeds.tensors[field].clone()));
        let result = run(&mut **step, Feeds { names: &[], tensors: ordered, staged: feeds.staged });
        ordered.clear();
        if let Err(error) = &result {
            self.poisoned = (!harmless(error)).then(|| error.to_string());
        }
        result
    }

    /// The elements of an output of the last step of a mode and signature. Waits for the step.
    ///
    /// # Errors
    /// There was no such step, its memory was taken by another, or it has no such output.
    pub fn read_output(
        &mut self,
        mode: Mode,
        signature: &Signature,
        name: &str,
    ) -> Result<Vec<f32>, EngineError> {
        let Some(compiled) = self.find(mode, signature) else {
            let reason = "no step of this mode was run on such a batch";
            return Err(EngineError::OutputGone { name: name.into(), reason });
        };
        compiled.step.read_output(name)
    }

    /// As [`Engine::read_output`] into memory of the caller's, without an allocation where the device
    /// needs none.
    ///
    /// # Errors
    /// As for [`Engine::read_output`], and another number of elements.
    pub fn read_output_into(
        &mut self,
        mode: Mode,
        signature: &Signature,
        name: &str,
        out: &mut [f32],
    ) -> Result<(), EngineError> {
        let Some(compiled) = self.find(mode, signature) else {
            let reason = "no step of this mode was run on such a batch";
            return Err(EngineError::OutputGone { name: name.into(), reason });
        };
        compiled.step.read_output_into(name, out)
    }

    /// The names of the scalars in the tickets of a mode.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub fn report_names(
        &mut self,
        mode: Mode,
        signature: &Signature,
    ) -> Result<Vec<String>, EngineError> {
        Ok(self.compiled(mode, signature)?.step.reports().to_vec())
    }

    /// The plan of a mode and signature as text.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub fn dump(&mut self, mode: Mode, signature: &Signature) -> Result<String, EngineError> {
        Ok(self.compiled(mode, signature)?.step.dump())
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

/// For each input leaf of a program the position of its field in a batch.
fn order(
    program: &Program,
    mode: Mode,
    signature: &Signature,
) -> Result<Box<[usize]>, EngineError> {
    let fields = signature.fields();
    let place = |(name, value)| {
        let wanted = program.graph.type_of(value);
        let refuse = |got: String| {
            Err(EngineError::Feed { name: String::from(name), wanted: wanted.to_string(), got })
        };
        match fields.iter().position(|(field, _)| field == name) {
            None => refuse(format!("a batch without it: {signature}")),
            Some(i) if fields[i].1 != *wanted => refuse(fields[i].1.to_string()),
            Some(i) => Ok(i),
        }
    };
    let order: Box<[usize]> =
        program.graph.leaves(LeafKind::Input).map(place).collect::<Result<_, _>>()?;
    let superfluous = (0..fields.len()).find(|i| !order.contains(i));
    match superfluous {
        Some(i) if mode.trains() => Err(EngineError::Feed {
            name: fields[i].0.clone(),
            wanted: "only fields that the program uses to train".into(),
            got: format!("{}, which it does not use", fields[i].1),
        }),
        _ => Ok(order),
    }
}

/// The signature of a batch that no program was compiled for.
fn signature_of(mode: Mode, feeds: Feeds<'_>) -> Result<Signature, EngineError> {
    if !feeds.names.is_empty() || feeds.tensors.is_empty() {
        return Signature::of(feeds.names, feeds.tensors);
    }
    let numbers: Vec<String> = (0..feeds.tensors.len()).map(|i| i.to_string()).collect();
    let got = Signature::of(&numbers, feeds.tensors)?;
    Err(EngineError::Feed {
        name: "batch".into(),
        wanted: format!(
            "the names of its fields, or a signature that was prepared to {} a batch",
            mode.doing()
        ),
        got: format!("tensors without names: {got}"),
    })
}
