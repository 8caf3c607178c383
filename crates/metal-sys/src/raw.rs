//! The C interface as it is: see `shim/include/onestep.h` for what each item means, who owns what,
//! and which errors there are. The sizes and offsets of all structs are asserted on both sides.

#![allow(non_camel_case_types, missing_docs)]

use std::ffi::{c_char, c_void};

pub const ABI_VERSION: u32 = 2;
pub const MAX_RANK: usize = 6;
pub const NODE_INTS: usize = 24;
pub const NODE_FLOATS: usize = 2;
pub const MAX_REPORTS: usize = 16;
pub const MAX_OPTIMIZER_STATES: usize = 4;
pub const NO_VALUE: u32 = u32::MAX;

pub const OK: i32 = 0;
pub const INVALID_ARGUMENT: i32 = 1;
pub const OUT_OF_MEMORY: i32 = 2;
pub const NO_DEVICE: i32 = 3;
pub const UNSUPPORTED: i32 = 4;
pub const COMPILE_FAILED: i32 = 5;
pub const DEVICE_ERROR: i32 = 6;
pub const POISONED: i32 = 7;
pub const INTERNAL: i32 = 8;
pub const TIMED_OUT: i32 = 9;

macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
            // Handles are shared with other threads by the library and must not be moved.
            _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
        }
    )*};
}

opaque!(
    onestep_device,
    onestep_buffer,
    onestep_queue,
    onestep_program,
    onestep_ticket,
    onestep_derivative,
    onestep_status
);

pub type onestep_completion = unsafe extern "C" fn(
    context: *mut c_void,
    tag: u64,
    code: i32,
    message: *const c_char,
    values: *const f32,
    value_count: u64,
);

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_device_info {
    pub struct_bytes: u64,
    pub name: [c_char; 128],
    pub max_buffer_bytes: u64,
    pub recommended_bytes: u64,
    pub allocated_bytes: u64,
    pub unified_memory: u32,
    pub supports_bf16: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_statistics {
    pub struct_bytes: u64,
    pub native_calls: u64,
    pub command_buffers: u64,
    pub encodes: u64,
    pub waits: u64,
    pub host_copies: u64,
    pub metal_allocations: u64,
    pub compilations: u64,
    pub in_flight: u64,
    pub in_flight_peak: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_copy {
    pub source: *mut onestep_buffer,
    pub source_offset: u64,
    pub target: *mut onestep_buffer,
    pub target_offset: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_copy_args {
    pub struct_bytes: u64,
    pub queue: *mut onestep_queue,
    pub copies: *const onestep_copy,
    pub copy_count: u64,
    pub on_complete: Option<onestep_completion>,
    pub context: *mut c_void,
    pub tag: u64,
    pub want_ticket: u32,
    pub reserved: u32,
    pub serial: u64,
    pub ticket: *mut onestep_ticket,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_node {
    pub op: u32,
    pub dtype: u32,
    pub rank: u32,
    pub input_count: u32,
    pub dims: [i64; MAX_RANK],
    pub inputs: *const u32,
    pub ints: [i64; NODE_INTS],
    pub floats: [f64; NODE_FLOATS],
    pub data: *const c_void,
    pub data_bytes: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_graph {
    pub nodes: *const onestep_node,
    pub node_count: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_state {
    pub buffer: *mut onestep_buffer,
    pub new_value: u32,
    pub reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_output {
    pub buffer: *mut onestep_buffer,
    pub value: u32,
    pub reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_program_args {
    pub struct_bytes: u64,
    pub queue: *mut onestep_queue,
    pub graph: *const onestep_graph,
    pub states: *const onestep_state,
    pub state_count: u64,
    pub outputs: *const onestep_output,
    pub output_count: u64,
    pub reports: *const u32,
    pub report_count: u64,
    pub feed_count: u64,
    pub scalar_count: u64,
    pub flops_per_command_buffer: u64,
    pub mode: u32,
    pub convolution_path: u32,
    pub program: *mut onestep_program,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_differentiate_args {
    pub struct_bytes: u64,
    pub graph: *const onestep_graph,
    pub values: *const u32,
    pub value_count: u64,
    pub loss: u32,
    pub reserved: u32,
    pub gradients: *mut u32,
    pub derivative: *mut onestep_derivative,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_program_info {
    pub struct_bytes: u64,
    pub bytes: u64,
    pub flops: u64,
    pub encodes_per_step: u32,
    pub command_buffers_per_step: u32,
    pub report_count: u32,
    pub hybrid_convolutions: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_step_args {
    pub struct_bytes: u64,
    pub program: *mut onestep_program,
    pub feeds: *const *mut onestep_buffer,
    pub feed_count: u64,
    pub scalars: *const f32,
    pub scalar_count: u64,
    pub seed: u64,
    pub step: u64,
    pub outputs: *const *mut onestep_buffer,
    pub output_count: u64,
    pub on_complete: Option<onestep_completion>,
    pub context: *mut c_void,
    pub tag: u64,
    pub want_ticket: u32,
    pub reserved: u32,
    pub serial: u64,
    pub ticket: *mut onestep_ticket,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_optimizer_tensor {
    pub parameter: *mut onestep_buffer,
    pub gradient: *mut onestep_buffer,
    pub states: [*mut onestep_buffer; MAX_OPTIMIZER_STATES],
    pub elements: u64,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_optimizer_call {
    pub queue: *mut onestep_queue,
    pub tensors: *const onestep_optimizer_tensor,
    pub tensor_count: u64,
    pub step: u64,
    pub on_complete: Option<onestep_completion>,
    pub context: *mut c_void,
    pub tag: u64,
    pub lr: f64,
    pub weight_decay: f64,
    pub want_ticket: u32,
    pub reserved: u32,
    pub serial: u64,
    pub ticket: *mut onestep_ticket,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_sgd_args {
    pub struct_bytes: u64,
    pub call: onestep_optimizer_call,
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: u32,
    pub reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_adam_args {
    pub struct_bytes: u64,
    pub call: onestep_optimizer_call,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub decoupled_weight_decay: u32,
    pub amsgrad: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_rmsprop_args {
    pub struct_bytes: u64,
    pub call: onestep_optimizer_call,
    pub alpha: f64,
    pub eps: f64,
    pub momentum: f64,
    pub centered: u32,
    pub reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct onestep_ticket_result {
    pub struct_bytes: u64,
    pub serial: u64,
    pub done: u32,
    pub value_count: u32,
    pub values: [f32; MAX_REPORTS],
}

include!(concat!(env!("OUT_DIR"), "/layout.rs"));

/// Declares the functions of the interface, and where the shim is not built puts others in their
/// place that fail, so that all code compiles on every platform.
macro_rules! functions {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        #[cfg(onestep_shim)]
        unsafe extern "C" {
            $(pub fn $name($($arg: $ty),*) $(-> $ret)?;)*
        }

        $(
            /// Stands for the function of the shim that this build does not have.
            ///
            /// # Safety
            /// It touches nothing.
            #[cfg(not(onestep_shim))]
            pub unsafe fn $name($(_: $ty),*) $(-> $ret)? {
                absent::Absent::absent()
            }
        )*
    };
}

functions! {
    fn onestep_abi_version() -> u32;
    fn onestep_op_name(op: u32) -> *const c_char;
    fn onestep_status_code(status: *const onestep_status) -> i32;
    fn onestep_status_message(status: *const onestep_status) -> *const c_char;
    fn onestep_status_release(status: *mut onestep_status);
    fn onestep_device_count(out_count: *mut u32) -> *mut onestep_status;
    fn onestep_device_open(index: u32, out_device: *mut *mut onestep_device) -> *mut onestep_status;
    fn onestep_device_release(device: *mut onestep_device);
    fn onestep_device_get_info(device: *const onestep_device, info: *mut onestep_device_info) -> *mut onestep_status;
    fn onestep_device_get_statistics(device: *const onestep_device, statistics: *mut onestep_statistics) -> *mut onestep_status;
    fn onestep_buffer_create(device: *mut onestep_device, bytes: u64, storage: u32, out_buffer: *mut *mut onestep_buffer) -> *mut onestep_status;
    fn onestep_buffer_release(buffer: *mut onestep_buffer);
    fn onestep_buffer_bytes(buffer: *const onestep_buffer) -> u64;
    fn onestep_buffer_storage(buffer: *const onestep_buffer) -> u32;
    fn onestep_buffer_contents(buffer: *mut onestep_buffer) -> *mut c_void;
    fn onestep_buffer_write(buffer: *mut onestep_buffer, offset: u64, data: *const c_void, bytes: u64) -> *mut onestep_status;
    fn onestep_buffer_read(buffer: *mut onestep_buffer, offset: u64, data: *mut c_void, bytes: u64) -> *mut onestep_status;
    fn onestep_buffer_fill(buffer: *mut onestep_buffer, offset: u64, bytes: u64, value: u8) -> *mut onestep_status;
    fn onestep_queue_create(device: *mut onestep_device, in_flight: u32, out_queue: *mut *mut onestep_queue) -> *mut onestep_status;
    fn onestep_queue_release(queue: *mut onestep_queue);
    fn onestep_queue_wait_idle(queue: *mut onestep_queue) -> *mut onestep_status;
    fn onestep_queue_recover(queue: *mut onestep_queue) -> *mut onestep_status;
    fn onestep_queue_copy(args: *mut onestep_copy_args) -> *mut onestep_status;
    fn onestep_program_compile(args: *mut onestep_program_args) -> *mut onestep_status;
    fn onestep_program_release(program: *mut onestep_program);
    fn onestep_program_get_info(program: *const onestep_program, info: *mut onestep_program_info) -> *mut onestep_status;
    fn onestep_program_output(program: *mut onestep_program, index: u64, out_buffer: *mut *mut onestep_buffer) -> *mut onestep_status;
    fn onestep_graph_differentiate(args: *mut onestep_differentiate_args) -> *mut onestep_status;
    fn onestep_derivative_nodes(derivative: *const onestep_derivative, out_nodes: *mut onestep_graph) -> *mut onestep_status;
    fn onestep_derivative_release(derivative: *mut onestep_derivative);
    fn onestep_execute_training_step(args: *mut onestep_step_args) -> *mut onestep_status;
    fn onestep_execute_inference(args: *mut onestep_step_args) -> *mut onestep_status;
    fn onestep_sgd_step(args: *mut onestep_sgd_args) -> *mut onestep_status;
    fn onestep_adam_step(args: *mut onestep_adam_args) -> *mut onestep_status;
    fn onestep_rmsprop_step(args: *mut onestep_rmsprop_args) -> *mut onestep_status;
    fn onestep_ticket_poll(ticket: *mut onestep_ticket, result: *mut onestep_ticket_result) -> *mut onestep_status;
    fn onestep_ticket_wait(ticket: *mut onestep_ticket, timeout_ms: u64, result: *mut onestep_ticket_result) -> *mut onestep_status;
    fn onestep_ticket_release(ticket: *mut onestep_ticket);
}

#[cfg(not(onestep_shim))]
mod absent {
    use super::{c_char, c_void, onestep_status};

    /// What a function returns that is not there.
    pub(super) trait Absent {
        fn absent() -> Self;
    }

    impl Absent for *mut onestep_status {
        /// Not null, so a failure. It is never read: see `native::check`.
        fn absent() -> Self {
            std::ptr::NonNull::dangling().as_ptr()
        }
    }

    impl Absent for *mut c_void {
        fn absent() -> Self {
            std::ptr::null_mut()
        }
    }

    impl Absent for *const c_char {
        fn absent() -> Self {
            std::ptr::null()
        }
    }

    macro_rules! zero {
        ($($ty:ty),*) => {$(
            impl Absent for $ty {
                fn absent() -> Self {
                    <$ty>::default()
                }
            }
        )*};
    }

    zero!((), u32, u64, i32);
}
