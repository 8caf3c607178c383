//! Compiling programs.

use std::sync::Arc;

use onestep_engine::{
    EngineError, Executor, Footprint, Program, StateLayout, StateTable, Step, StepCounters,
};
use onestep_memory::{Device, MemoryManager, Tensor};
use onestep_metal_sys::{self as metal, MetalError, ProgramDescription, Statistics};

use crate::buffers;
use crate::counters::step_counters;
use crate::device::MetalDevice;
use crate::error::MetalExecutorError;
use crate::flight::MetalFlight;
use crate::footprint::{check_budget, footprint};
use crate::options::MetalOptions;
use crate::step::{MetalStep, Parts};
use crate::translate::Translation;

/// Runs programs on Metal: the engine's graph of the whole step is compiled into one MPSGraph executable,
/// and a step is one call that encodes it into one command buffer and returns.
///
/// ```
/// use onestep_backend_metal::{MetalExecutor, MetalOptions};
/// use onestep_engine::{DType, Executor, Feeds, Graph, Named, Program, Scalars, StateLayout, StateTable};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let Ok(mut metal) = MetalExecutor::new(&MetalOptions::default()) else { return Ok(()) };
/// let mut graph = Graph::new();
/// let x = graph.input("x", &[2], DType::F32)?;
/// let y = graph.exp(x)?;
/// let program = Program::predict(graph, vec![Named::new("y", y)]);
/// let layout = StateLayout::new(&program.groups, &[], program.update.as_deref())?;
/// let state = StateTable::new(layout, metal.memory())?;
/// let mut step = metal.compile(&program, &state)?;
/// let input = metal.memory().from_slice([2], &[0.0f32, 1.0])?;
/// step.submit(Feeds::new(&[input]), &Scalars::new(7))?;
/// let output = step.read_output("y")?;
/// assert!((output[1] - std::f32::consts::E).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MetalExecutor {
    device: Arc<MetalDevice>,
    memory: MemoryManager,
    flight: Arc<MetalFlight>,
    options: MetalOptions,
}

impl MetalExecutor {
    /// Opens a device.
    ///
    /// # Errors
    /// [`MetalExecutorError::Unavailable`] in a build without Metal, or what the device says.
    pub fn new(options: &MetalOptions) -> Result<Self, MetalExecutorError> {
        let device = MetalDevice::open(options.device, options.in_flight)?;
        let memory = MemoryManager::new(Arc::clone(&device) as Arc<dyn Device>);
        memory.set_budget(options.memory_budget);
        let flight = MetalFlight::new(device.poison());
        Ok(MetalExecutor { device, memory, flight, options: *options })
    }

    /// The device.
    pub fn device(&self) -> &Arc<MetalDevice> {
        &self.device
    }

    /// The buffers that a program writes besides its state.
    fn outputs(&self, translation: &Translation) -> Result<Vec<Tensor>, EngineError> {
        let outputs = translation.outputs.iter();
        outputs
            .map(|output| Ok(self.memory.allocate(output.ty.shape.clone(), output.ty.dtype)?))
            .collect()
    }

    fn compile_native(
        &self,
        translation: &mut Translation,
        trains: bool,
        state: &StateTable,
        outputs: &[Tensor],
    ) -> Result<metal::Program, MetalError> {
        let description = ProgramDescription {
            states: buffers::states(translation, state.tensors()),
            outputs: buffers::outputs(translation, outputs),
            reports: std::mem::take(&mut translation.reports),
            graph: std::mem::take(&mut translation.nodes),
            trains,
            feeds: translation.feeds as u64,
            scalars: translation.scalars.len() as u64,
            flops_per_command_buffer: self.options.flops_per_command_buffer,
            convolution_path: self.options.convolution_path,
        };
        metal::Program::compile(self.device.queue(), &description)
    }
}

impl Executor for MetalExecutor {
    fn name(&self) -> String {
        self.device.name().to_owned()
    }

    fn memory(&self) -> &MemoryManager {
        &self.memory
    }

    fn footprint(&self, program: &Program, layout: &StateLayout) -> Result<Footprint, EngineError> {
        let translation = Translation::new(program, layout)?;
        Ok(footprint(&translation, layout))
    }

    fn compile(
        &mut self,
        program: &Program,
        state: &StateTable,
    ) -> Result<Box<dyn Step>, EngineError> {
        buffers::check(state.tensors(), &self.device)?;
        let mut translation = Translation::new(program, state.layout())?;
        let footprint: Footprint = footprint(&translation, state.layout());
        check_budget(&footprint, self.options.memory_budget)?;
        let outputs = self.outputs(&translation)?;
        let dump = translation.dump();
        let native = self
            .compile_native(&mut translation, program.mode.trains(), state, &outputs)
            .map_err(|error| self.device.engine_error("the program", error))?;
        let step = MetalStep::new(Parts {
            device: Arc::clone(&self.device),
            memory: self.memory.clone(),
            flight: Arc::clone(&self.flight),
            native,
            program,
            translation,
            state,
            outputs,
            footprint,
            dump,
        })?;
        Ok(Box::new(step))
    }

    fn counters(&self) -> StepCounters {
        // The shim's interface allows for an error that its counters never give.
        let statistics: Statistics = self.device.statistics().unwrap_or_default();
        step_counters(&statistics, self.flight.0.waits())
    }
}
