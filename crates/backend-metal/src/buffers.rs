//! Tensors as the shim's buffers.

use std::sync::Arc;

use onestep_engine::EngineError;
use onestep_memory::{MemoryError, Tensor};
use onestep_metal_sys::{self as metal, BufferRef};

use crate::device::MetalDevice;
use crate::translate::Translation;

/// The shim's handle of the buffer in which a tensor lies.
pub(crate) fn handle(tensor: &Tensor) -> *mut metal::raw::onestep_buffer {
    std::ptr::with_exposed_provenance_mut(tensor.buffer().device_handle() as usize)
}

/// The buffer of a tensor of a [`MetalDevice`], from whose first byte on the tensor lies.
pub(crate) fn buffer(tensor: &Tensor) -> BufferRef<'_> {
    // SAFETY: `MetalDevice::allocate` made the handle, and the device keeps its buffer until the
    // last tensor on it is dropped, which the result borrows.
    unsafe { BufferRef::from_raw(handle(tensor)) }
}

/// Whether a tensor lies in a buffer of `device` from the first byte on, as the shim wants it.
pub(crate) fn fits(tensor: &Tensor, device: &Arc<MetalDevice>) -> bool {
    let its = Arc::as_ptr(tensor.buffer().pool().device()).cast::<()>();
    tensor.offset() == 0 && std::ptr::addr_eq(its, Arc::as_ptr(device))
}

/// Refuses state that lies elsewhere.
pub(crate) fn check(tensors: &[Tensor], device: &Arc<MetalDevice>) -> Result<(), EngineError> {
    if tensors.iter().all(|tensor| fits(tensor, device)) {
        return Ok(());
    }
    let device = onestep_memory::Device::name(&**device).to_owned();
    Err(MemoryError::ForeignBuffer { device }.into())
}

/// The states of a step, whose buffers are those of the state table.
pub(crate) fn states<'a>(translation: &Translation, table: &'a [Tensor]) -> Vec<metal::State<'a>> {
    let states = translation.states.iter();
    states
        .map(|&(index, new_value)| metal::State { buffer: buffer(&table[index]), new_value })
        .collect()
}

/// The outputs of a step, but for those without elements.
pub(crate) fn outputs<'a>(translation: &Translation, to: &'a [Tensor]) -> Vec<metal::Output<'a>> {
    let outputs = translation.outputs.iter().zip(to);
    outputs
        .filter_map(|(output, tensor)| {
            Some(metal::Output { value: output.value?, buffer: Some(buffer(tensor)) })
        })
        .collect()
}
