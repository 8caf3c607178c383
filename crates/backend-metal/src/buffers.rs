//! Tensors as the shim's buffers.

use std::sync::Arc;

use onestep_engine::EngineError;
use onestep_memory::{MemoryError, Tensor};
use onestep_metal_sys::{self as metal, BufferRef};

use crate::device::MetalDevice;
use crate::translate::{Forward, Translation};

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

/// The buffers that a program writes besides its state.
#[derive(Debug)]
pub(crate) struct Results {
    /// One an output of the program.
    pub(crate) outputs: Vec<Tensor>,
    /// One a group that is not empty, for training.
    pub(crate) gradients: Vec<Tensor>,
}

/// Where a program's values lie.
pub(crate) struct Buffers<'a> {
    /// The buffers of the state table.
    pub(crate) state: &'a [Tensor],
    /// The rest.
    pub(crate) results: &'a Results,
}

impl<'a> Buffers<'a> {
    fn state(&self, index: usize) -> BufferRef<'a> {
        buffer(&self.state[index])
    }

    pub(crate) fn groups(&self, translation: &Translation) -> Vec<metal::Group<'a>> {
        let groups = translation.groups.iter().enumerate();
        groups
            .map(|(index, group)| {
                let new = translation.update.as_ref().map(|update| &update.groups[index]);
                metal::Group {
                    parameter: self.state(group.parameter),
                    gradient: self.results.gradients.get(index).map(buffer),
                    elements: group.elements as u64,
                    new_parameter: new.map_or(metal::raw::NO_VALUE, |new| new.parameter),
                    states: group.states.iter().map(|&state| self.state(state)).collect(),
                    new_states: new.map_or_else(Vec::new, |new| new.states.clone()),
                }
            })
            .collect()
    }

    pub(crate) fn states(&self, forward: &Forward) -> Vec<metal::State<'a>> {
        let states = forward.states.iter();
        states
            .map(|&(index, new_value)| metal::State { buffer: self.state(index), new_value })
            .collect()
    }

    pub(crate) fn outputs(&self, forward: &Forward) -> Vec<metal::Output<'a>> {
        let outputs = forward.outputs.iter().zip(&self.results.outputs);
        outputs
            .map(|(&value, tensor)| metal::Output { value, buffer: Some(buffer(tensor)) })
            .collect()
    }
}
