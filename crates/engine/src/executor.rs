//! The boundary between the compiler and a device.

use std::time::Duration;

use onestep_memory::{MemoryManager, Staged, Tensor};

use crate::counters::StepCounters;
use crate::error::EngineError;
use crate::graph::Phase;
use crate::plan::{self, Cost, Footprint};
use crate::program::Program;
use crate::scalars::Scalars;
use crate::state::{StateLayout, StateTable};
use crate::ticket::Ticket;

/// The tensors of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Feeds<'a> {
    /// The names of their fields, by which [`crate::Engine`] finds what a program needs. Without
    /// any, it looks for a program that was compiled for fields of these types.
    pub names: &'a [String],
    /// One tensor for each field. A [`Step`] takes one for each input leaf of its program, in the
    /// program's order.
    pub tensors: &'a [Tensor],
    /// The staging slot they lie in, which an asynchronous executor keeps until it has read it.
    pub staged: Option<&'a Staged>,
}

impl<'a> Feeds<'a> {
    /// Feeds without names that are not staged.
    pub fn new(tensors: &'a [Tensor]) -> Self {
        Feeds { names: &[], tensors, staged: None }
    }

    /// Feeds by the names of their fields, not staged.
    pub fn named(names: &'a [String], tensors: &'a [Tensor]) -> Self {
        Feeds { names, tensors, staged: None }
    }
}

/// Compiles programs for a device.
pub trait Executor: Send {
    /// The device's name for people, such as `cpu (2 threads, avx512)`.
    fn name(&self) -> String;

    /// The memory of the device.
    fn memory(&self) -> &MemoryManager;

    /// Compiles a program whose state lies in `state`. All checks are made here.
    ///
    /// # Errors
    /// An op that the device lacks, or memory beyond the budget.
    fn compile(
        &mut self,
        program: &Program,
        state: &StateTable,
    ) -> Result<Box<dyn Step>, EngineError>;

    /// What a step of a program would take whose state lies as in `layout`. Nothing is taken for
    /// it, not even the state's memory, and no budget refuses it.
    ///
    /// # Errors
    /// As for [`Executor::compile`].
    fn footprint(&self, program: &Program, layout: &StateLayout) -> Result<Footprint, EngineError> {
        Ok(plan::compile(program, layout, None)?.footprint)
    }

    /// What was done so far.
    fn counters(&self) -> StepCounters;
}

/// One kernel of one profiled step.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The layer or op it comes from.
    pub label: String,
    /// What kind of kernel it is.
    pub kind: &'static str,
    /// How it is done, where the executor has several ways: those of its parts, one after the other.
    pub ways: Vec<&'static str>,
    /// The part of the step that it belongs to.
    pub phase: Phase,
    /// What it has to do at least.
    pub cost: Cost,
    /// From the start of the step to its own.
    pub start: Duration,
    /// From its start to its end.
    pub duration: Duration,
}

/// A compiled program on a device.
pub trait Step: Send {
    /// Runs the program once: the one native call of a step. It may return before the work is
    /// done; the ticket tells. A feed of another type than the program's is refused.
    ///
    /// # Errors
    /// Out of memory, device lost, or a kernel that broke off. What the state holds is then
    /// unknown; the step itself can be run again once the state was written anew, which
    /// [`crate::Engine`] watches over.
    fn submit(&mut self, feeds: Feeds<'_>, scalars: &Scalars) -> Result<Ticket, EngineError>;

    /// The f32 elements of an output after the last step; waits for it.
    ///
    /// # Errors
    /// There is no output of this name, or no step was run.
    fn read_output(&mut self, name: &str) -> Result<Vec<f32>, EngineError>;

    /// As [`Step::read_output`] into memory of the caller's, which has as many elements.
    ///
    /// # Errors
    /// As for [`Step::read_output`], and another number of elements.
    fn read_output_into(&mut self, name: &str, out: &mut [f32]) -> Result<(), EngineError> {
        let values = self.read_output(name)?;
        if values.len() != out.len() {
            return Err(output_size(name, values.len(), out.len()));
        }
        out.copy_from_slice(&values);
        Ok(())
    }

    /// The names of the ticket's scalars.
    fn reports(&self) -> &[String];

    /// Memory, known before the first step.
    fn footprint(&self) -> Footprint;

    /// The plan as text.
    fn dump(&self) -> String;

    /// Runs the program once, as [`Step::submit`] does, and times each of its kernels, in their
    /// order. The clock is read around each, so such a step takes a little longer.
    ///
    /// # Errors
    /// As for [`Step::submit`], and [`EngineError::Unsupported`] where the device does not run
    /// kernel by kernel.
    fn profile(
        &mut self,
        feeds: Feeds<'_>,
        scalars: &Scalars,
    ) -> Result<Vec<KernelTime>, EngineError> {
        let _ = (feeds, scalars);
        let reason = "it does not run a step kernel by kernel; use the platform's own profiler";
        Err(EngineError::Unsupported {
            backend: "this device",
            op: "a profile".into(),
            reason: reason.into(),
        })
    }
}

/// The error for memory that an output does not fill.
pub fn output_size(name: &str, wanted: usize, got: usize) -> EngineError {
    EngineError::Feed {
        name: name.to_owned(),
        wanted: format!("room for {wanted} numbers"),
        got: got.to_string(),
    }
}
