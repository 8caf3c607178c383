//! A compiled program and its steps.

use std::sync::Arc;

use onestep_engine::ops::LeafKind;
use onestep_engine::{
    EngineError, Feeds, Footprint, Health, Program, ScalarSlots, Scalars, StateTable, Step, Ticket,
    Type,
};
use onestep_memory::{DType, MemoryManager, Tensor, bf16, f16};
use onestep_metal_sys::{self as metal, BufferRef, StepArguments};

use crate::buffers::{fits, handle};
use crate::device::MetalDevice;
use crate::flight::MetalFlight;
use crate::translate::Translation;

/// What a step is made of.
pub(crate) struct Parts<'a> {
    pub(crate) device: Arc<MetalDevice>,
    pub(crate) memory: MemoryManager,
    pub(crate) flight: Arc<MetalFlight>,
    pub(crate) native: metal::Program,
    pub(crate) program: &'a Program,
    pub(crate) translation: Translation,
    pub(crate) state: &'a StateTable,
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) footprint: Footprint,
    pub(crate) dump: String,
}

/// A program that the shim has compiled. Everything that a step passes on was laid out beforehand,
/// so that submitting one allocates nothing.
pub(crate) struct MetalStep {
    native: metal::Program,
    train: bool,
    feeds: Vec<(String, Type)>,
    arguments: Arguments,
    slots: ScalarSlots,
    reports: Vec<String>,
    /// What can be read, by name.
    outputs: Vec<(String, Tensor)>,
    /// Handles of the state that a training step writes.
    written: Arc<[u64]>,
    footprint: Footprint,
    dump: String,
    /// The last step that was submitted.
    last: Option<Ticket>,
    flight: Arc<MetalFlight>,
    /// Buffers that the native program uses.
    _kept: Vec<Tensor>,
    memory: MemoryManager,
    device: Arc<MetalDevice>,
}

/// The arguments of a call, which keep their room from step to step.
#[derive(Default)]
struct Arguments {
    /// Empty between calls.
    feeds: Vec<BufferRef<'static>>,
    scalars: Vec<f32>,
}

// SAFETY: between calls `feeds` holds nothing.
unsafe impl Send for Arguments {}

impl MetalStep {
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, EngineError> {
        let Parts { program, translation, state, .. } = &parts;
        let graph = &program.graph;
        let feeds: Vec<(String, Type)> = graph
            .leaves(LeafKind::Input)
            .map(|(name, value)| (name.to_owned(), graph.type_of(value).clone()))
            .collect();
        parts.flight.0.reserve(feeds.len());
        let arguments = Arguments {
            feeds: Vec::with_capacity(feeds.len()),
            scalars: vec![0.0; translation.scalars.len()],
        };
        let train = program.mode.trains();
        let names = translation.outputs.iter().map(|output| output.name.clone());
        let outputs = names.zip(parts.outputs.iter().cloned()).collect();
        let kept = state.tensors().to_vec();
        let reports = translation.step.reports.iter().map(|report| report.name.clone()).collect();
        let written = if train { written(translation, state) } else { Vec::new() };
        let dump = format!("{}{}", parts.dump, describe(&parts.native));
        Ok(MetalStep {
            train,
            feeds,
            arguments,
            slots: ScalarSlots::new(&parts.translation.scalars),
            reports,
            outputs,
            written: written.into(),
            footprint: parts.footprint,
            dump,
            last: None,
            flight: parts.flight,
            native: parts.native,
            _kept: kept,
            memory: parts.memory,
            device: parts.device,
        })
    }

    /// Refuses a step on state that a failed one has left half updated.
    fn check_health(&self) -> Result<(), EngineError> {
        match self.device.poison().state() {
            Health::Good => Ok(()),
            Health::Damaged(reason) => Err(EngineError::Poisoned { reason }),
            Health::Restored => {
                let recovered = self.device.queue().recover();
                recovered.map_err(|error| self.device.engine_error("the recovery", error))?;
                self.device.poison().clear();
                Ok(())
            }
        }
    }

    fn fill_scalars(&mut self, scalars: &Scalars) -> Result<(), EngineError> {
        self.slots.fill(scalars, &mut self.arguments.scalars)
    }

    fn check_feeds(&self, tensors: &[Tensor]) -> Result<(), EngineError> {
        if tensors.len() != self.feeds.len() {
            return Err(EngineError::Feed {
                name: "batch".into(),
                wanted: format!("{} tensors", self.feeds.len()),
                got: tensors.len().to_string(),
            });
        }
        for ((name, ty), tensor) in self.feeds.iter().zip(tensors) {
            if tensor.shape() != &ty.shape || tensor.dtype() != ty.dtype {
                return Err(EngineError::Feed {
                    name: name.clone(),
                    wanted: ty.to_string(),
                    got: format!("{}{}", tensor.dtype(), tensor.shape()),
                });
            }
        }
        Ok(())
    }

    /// Copies of feeds that are not whole buffers of this device.
    fn copied(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>, EngineError> {
        let copy = |tensor: &Tensor| -> Result<Tensor, EngineError> {
            if fits(tensor, &self.device) {
                return Ok(tensor.clone());
            }
            let mut bytes = vec![0; tensor.bytes()];
            tensor.buffer().read(tensor.offset(), &mut bytes)?;
            let copy = self.memory.allocate(tensor.shape().clone(), tensor.dtype())?;
            copy.buffer().write(0, &bytes)?;
            Ok(copy)
        };
        tensors.iter().map(copy).collect()
    }

    /// The native call.
    fn call(&mut self, feeds: Feeds<'_>, scalars: &Scalars) -> Result<Ticket, EngineError> {
        let (serial, ticket) = self.flight.0.begin(feeds, &self.written);
        let Arguments { feeds: handles, scalars: numbers } = &mut self.arguments;
        handles.extend(feeds.tensors.iter().map(|tensor| {
            // SAFETY: `clear` below ends the use of the handle before the borrow of the tensor does.
            unsafe { BufferRef::from_raw(handle(tensor)) }
        }));
        let arguments = StepArguments {
            feeds: handles.as_slice(),
            scalars: numbers,
            seed: scalars.seed,
            step: scalars.step,
            outputs: &[],
        };
        let result = if self.train {
            self.native.train_with(arguments, &self.flight, serial)
        } else {
            self.native.infer_with(arguments, &self.flight, serial)
        };
        handles.clear();
        match result {
            Ok(()) => Ok(ticket),
            Err(error) => {
                let error = self.device.engine_error("the step", error);
                self.flight.0.end(serial, Err(error.clone()));
                Err(error)
            }
        }
    }
}

impl Step for MetalStep {
    fn submit(&mut self, feeds: Feeds<'_>, scalars: &Scalars) -> Result<Ticket, EngineError> {
        self.check_health()?;
        self.check_feeds(feeds.tensors)?;
        self.fill_scalars(scalars)?;
        let in_place = feeds.tensors.iter().all(|tensor| fits(tensor, &self.device));
        let ticket = if in_place {
            self.call(feeds, scalars)?
        } else {
            let copies = self.copied(feeds.tensors)?;
            self.call(Feeds::new(&copies), scalars)?
        };
        self.last = Some(ticket.clone());
        Ok(ticket)
    }

    fn read_output(&mut self, name: &str) -> Result<Vec<f32>, EngineError> {
        let Some((_, tensor)) = self.outputs.iter().find(|(known, _)| known == name) else {
            let known = self.outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
            return Err(EngineError::UnknownOutput {
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        let Some(last) = &self.last else {
            let (name, reason) = (name.to_owned(), "no step was run");
            return Err(EngineError::OutputGone { name, reason });
        };
        match last.wait() {
            // A result that is gone is of a step long done.
            Ok(_) | Err(EngineError::TicketExpired { .. }) => read_f32(tensor),
            Err(error) => Err(error),
        }
    }

    fn reports(&self) -> &[String] {
        &self.reports
    }

    fn footprint(&self) -> Footprint {
        self.footprint
    }

    fn dump(&self) -> String {
        self.dump.clone()
    }
}

impl Drop for MetalStep {
    /// Buffers go back to their pool only after the last step that uses them.
    fn drop(&mut self) {
        if let Err(error) = self.device.queue().wait_idle() {
            log::warn!("waiting for the last step: {error}");
        }
        if let Some(last) = &self.last {
            // Its result was for others; here it only matters that it is over.
            let _ = last.wait();
        }
    }
}

/// The state buffers that a training step writes.
fn written(translation: &Translation, state: &StateTable) -> Vec<u64> {
    let states = translation.states.iter().filter(|(_, new)| new.is_some());
    states.map(|&(buffer, _)| state.tensors()[buffer].buffer().device_handle()).collect()
}

fn describe(native: &metal::Program) -> String {
    native.info().map_or_else(
        |error| format!("{error}\n"),
        |info| {
            format!(
                "{} encodes and {} command buffers a step, {} convolutions outside the graph, \
                 {} floating-point operations\n",
                info.encodes_per_step,
                info.command_buffers_per_step,
                info.hybrid_convolutions,
                info.flops
            )
        },
    )
}

/// The elements of a tensor as f32, whatever they are.
fn read_f32(tensor: &Tensor) -> Result<Vec<f32>, EngineError> {
    Ok(match tensor.dtype() {
        DType::F32 => tensor.read::<f32>()?,
        DType::F16 => tensor.read::<f16>()?.into_iter().map(f16::to_f32).collect(),
        DType::BF16 => tensor.read::<bf16>()?.into_iter().map(bf16::to_f32).collect(),
        DType::I32 => tensor.read::<i32>()?.into_iter().map(|x| x as f32).collect(),
        DType::U8 => tensor.read::<u8>()?.into_iter().map(f32::from).collect(),
    })
}
