//! Compiled programs and their steps.

use std::sync::Arc;

use crate::buffer::{Buffer, BufferRef};
use crate::completion::{Complete, callback, forget};
use crate::error::MetalError;
use crate::graph::{NodeDescription, raw_graph, raw_nodes};
use crate::handle::handle;
use crate::native::{check, struct_bytes};
use crate::queue::Queue;
use crate::raw;
use crate::ticket::Ticket;

handle! {
    /// A compiled program, bound to a queue and to the buffers of its state.
    Program, raw::onestep_program, raw::onestep_program_release
}

/// How convolutions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ConvolutionPath {
    /// In the compiled graph.
    #[default]
    Graph = 0,
    /// Through `MPSCNNConvolution` and its gradients, for systems on which the graph's own aborts.
    Hybrid = 1,
}

/// A buffer that is kept between steps: parameters, what an optimizer keeps, a running mean.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Its elements in f32.
    pub buffer: BufferRef<'a>,
    /// The value of the graph that it becomes in a training step.
    pub new_value: Option<u32>,
}

/// A value of the graph that can be read after a step.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// The value.
    pub value: u32,
    /// Where it goes; the program allocates a shared buffer where there is none.
    pub buffer: Option<BufferRef<'a>>,
}

/// What is compiled: a whole step.
#[derive(Clone, Debug, Default)]
pub struct ProgramDescription<'a> {
    /// The graph of the step.
    pub graph: Vec<NodeDescription>,
    /// Whether the step changes state.
    pub trains: bool,
    /// What is kept between steps.
    pub states: Vec<State<'a>>,
    /// What can be read after a step.
    pub outputs: Vec<Output<'a>>,
    /// f32 scalars that come back from each step.
    pub reports: Vec<u32>,
    /// How many buffers a step takes.
    pub feeds: u64,
    /// How many scalars a step takes.
    pub scalars: u64,
    /// Work of a step above which it is split over several command buffers; 0: never.
    pub flops_per_command_buffer: u64,
    /// How convolutions run.
    pub convolution_path: ConvolutionPath,
}

/// What a compiled program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Device memory that the program owns, in bytes.
    pub bytes: u64,
    /// An estimate of the floating-point operations of a step.
    pub flops: u64,
    /// Compiled graphs and kernels encoded by a step.
    pub encodes_per_step: u32,
    /// Command buffers committed by a step.
    pub command_buffers_per_step: u32,
    /// Scalars that a step reports.
    pub report_count: u32,
    /// Convolutions that run through the hybrid path.
    pub hybrid_convolutions: u32,
}

/// What a step takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepArguments<'a> {
    /// One buffer for each feed, which nobody writes before the step is done.
    pub feeds: &'a [BufferRef<'a>],
    /// One number for each scalar.
    pub scalars: &'a [f32],
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step.
    pub step: u64,
    /// Where the outputs go instead of the program's own buffers; empty: nowhere else.
    pub outputs: &'a [BufferRef<'a>],
}

impl Program {
    /// Checks and compiles a program.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] naming the node, [`MetalError::Unsupported`],
    /// [`MetalError::CompileFailed`], [`MetalError::OutOfMemory`].
    pub fn compile(queue: &Queue, program: &ProgramDescription<'_>) -> Result<Self, MetalError> {
        let nodes = raw_nodes(&program.graph);
        let graph = raw_graph(&nodes);
        let states: Vec<_> = program.states.iter().map(raw_state).collect();
        let outputs: Vec<_> = program.outputs.iter().map(raw_output).collect();
        let mut args = raw::onestep_program_args {
            struct_bytes: struct_bytes::<raw::onestep_program_args>(),
            queue: queue.as_raw(),
            graph: &graph,
            states: states.as_ptr(),
            state_count: states.len() as u64,
            outputs: outputs.as_ptr(),
            output_count: outputs.len() as u64,
            reports: program.reports.as_ptr(),
            report_count: program.reports.len() as u64,
            feed_count: program.feeds,
            scalar_count: program.scalars,
            flops_per_command_buffer: program.flops_per_command_buffer,
            mode: u32::from(!program.trains),
            convolution_path: program.convolution_path as u32,
            program: std::ptr::null_mut(),
        };
        // SAFETY: every pointer is valid for the count beside it during the call; the shim retains
        // the buffers that it needs for longer.
        check(unsafe { raw::onestep_program_compile(&mut args) })?;
        Program::from_raw(args.program)
    }

    /// Describes the program.
    ///
    /// # Errors
    /// None in practice; the interface allows for one.
    pub fn info(&self) -> Result<ProgramInfo, MetalError> {
        let mut info = raw::onestep_program_info {
            struct_bytes: struct_bytes::<raw::onestep_program_info>(),
            bytes: 0,
            flops: 0,
            encodes_per_step: 0,
            command_buffers_per_step: 0,
            report_count: 0,
            hybrid_convolutions: 0,
        };
        // SAFETY: the handle is alive and the struct says its size.
        check(unsafe { raw::onestep_program_get_info(self.as_raw(), &mut info) })?;
        Ok(ProgramInfo {
            bytes: info.bytes,
            flops: info.flops,
            encodes_per_step: info.encodes_per_step,
            command_buffers_per_step: info.command_buffers_per_step,
            report_count: info.report_count,
            hybrid_convolutions: info.hybrid_convolutions,
        })
    }

    /// The program's own buffer of output `index`.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] where there is none.
    pub fn output(&self, index: u64) -> Result<Buffer, MetalError> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle is alive and the pointer is valid for a write.
        check(unsafe { raw::onestep_program_output(self.as_raw(), index, &mut handle) })?;
        Buffer::from_raw(handle)
    }

    /// Submits one training step and gives a ticket.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`], [`MetalError::OutOfMemory`], [`MetalError::Poisoned`];
    /// nothing was submitted then.
    pub fn train(&self, step: StepArguments<'_>) -> Result<Ticket, MetalError> {
        let mut args = self.step_args(&step);
        args.want_ticket = 1;
        // SAFETY: every pointer is valid for the count beside it during the call.
        check(unsafe { raw::onestep_execute_training_step(&mut args) })?;
        Ticket::from_raw(args.ticket)
    }

    /// Submits one step of a program that does not train and gives a ticket.
    ///
    /// # Errors
    /// As [`Program::train`].
    pub fn infer(&self, step: StepArguments<'_>) -> Result<Ticket, MetalError> {
        let mut args = self.step_args(&step);
        args.want_ticket = 1;
        // SAFETY: every pointer is valid for the count beside it during the call.
        check(unsafe { raw::onestep_execute_inference(&mut args) })?;
        Ticket::from_raw(args.ticket)
    }

    /// Submits one training step; `receiver` is told with `tag` when it is done.
    ///
    /// # Errors
    /// As [`Program::train`]; the receiver is not told then.
    pub fn train_with<C: Complete>(
        &self,
        step: StepArguments<'_>,
        receiver: &Arc<C>,
        tag: u64,
    ) -> Result<(), MetalError> {
        self.submit_with(step, receiver, tag, raw::onestep_execute_training_step)
    }

    /// Submits one step of a program that does not train; `receiver` is told with `tag` when it is done.
    ///
    /// # Errors
    /// As [`Program::train`]; the receiver is not told then.
    pub fn infer_with<C: Complete>(
        &self,
        step: StepArguments<'_>,
        receiver: &Arc<C>,
        tag: u64,
    ) -> Result<(), MetalError> {
        self.submit_with(step, receiver, tag, raw::onestep_execute_inference)
    }

    fn submit_with<C: Complete>(
        &self,
        step: StepArguments<'_>,
        receiver: &Arc<C>,
        tag: u64,
        submit: Submit,
    ) -> Result<(), MetalError> {
        let mut args = self.step_args(&step);
        (args.on_complete, args.context) = callback(receiver);
        args.tag = tag;
        // SAFETY: every pointer is valid for the count beside it during the call; the context stays
        // alive until the callback takes it back.
        let result = check(unsafe { submit(&mut args) });
        if result.is_err() {
            // SAFETY: a call that fails does not call the callback.
            unsafe { forget::<C>(args.context) };
        }
        result
    }

    fn step_args(&self, step: &StepArguments<'_>) -> raw::onestep_step_args {
        raw::onestep_step_args {
            struct_bytes: struct_bytes::<raw::onestep_step_args>(),
            program: self.as_raw(),
            // A `BufferRef` is a transparent pointer.
            feeds: step.feeds.as_ptr().cast(),
            feed_count: step.feeds.len() as u64,
            scalars: step.scalars.as_ptr(),
            scalar_count: step.scalars.len() as u64,
            seed: step.seed,
            step: step.step,
            outputs: if step.outputs.is_empty() {
                std::ptr::null()
            } else {
                step.outputs.as_ptr().cast()
            },
            output_count: step.outputs.len() as u64,
            on_complete: None,
            context: std::ptr::null_mut(),
            tag: 0,
            want_ticket: 0,
            reserved: 0,
            serial: 0,
            ticket: std::ptr::null_mut(),
        }
    }
}

#[cfg(onestep_shim)]
type Submit = unsafe extern "C" fn(*mut raw::onestep_step_args) -> *mut raw::onestep_status;
#[cfg(not(onestep_shim))]
type Submit = unsafe fn(*mut raw::onestep_step_args) -> *mut raw::onestep_status;

fn raw_state(state: &State<'_>) -> raw::onestep_state {
    raw::onestep_state {
        buffer: state.buffer.0,
        new_value: state.new_value.unwrap_or(raw::NO_VALUE),
        reserved: 0,
    }
}

fn raw_output(output: &Output<'_>) -> raw::onestep_output {
    raw::onestep_output {
        buffer: output.buffer.map_or(std::ptr::null_mut(), |b| b.0),
        value: output.value,
        reserved: 0,
    }
}
