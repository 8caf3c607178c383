//! Ordered queues of steps.

use crate::buffer::BufferRef;
use crate::error::MetalError;
use crate::handle::handle;
use crate::native::{check, struct_bytes};
use crate::raw;
use crate::ticket::Ticket;

handle! {
    /// An ordered queue of steps with a bounded number in flight.
    Queue, raw::onestep_queue, raw::onestep_queue_release
}

/// One copy by the device. Offsets and sizes are multiples of 4 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Where it comes from.
    pub source: BufferRef<'a>,
    /// The first byte there.
    pub source_offset: u64,
    /// Where it goes.
    pub target: BufferRef<'a>,
    /// The first byte there.
    pub target_offset: u64,
    /// How much.
    pub bytes: u64,
}

impl Queue {
    /// Waits until no step is in flight. A failed step is no error here.
    ///
    /// # Errors
    /// An exception of the platform.
    pub fn wait_idle(&self) -> Result<(), MetalError> {
        // SAFETY: the handle is alive.
        check(unsafe { raw::onestep_queue_wait_idle(self.as_raw()) })
    }

    /// Declares the queue good again after a failed step, once the state was restored.
    ///
    /// # Errors
    /// An exception of the platform.
    pub fn recover(&self) -> Result<(), MetalError> {
        // SAFETY: the handle is alive.
        check(unsafe { raw::onestep_queue_recover(self.as_raw()) })
    }

    /// Copies by the device, in order with the queue's steps.
    ///
    /// # Errors
    /// [`MetalError::InvalidArgument`] for a range that a buffer does not have.
    pub fn copy(&self, copies: &[Copy<'_>]) -> Result<Ticket, MetalError> {
        let copies: Vec<raw::onestep_copy> = copies.iter().map(raw_copy).collect();
        let mut args = raw::onestep_copy_args {
            struct_bytes: struct_bytes::<raw::onestep_copy_args>(),
            queue: self.as_raw(),
            copies: copies.as_ptr(),
            copy_count: copies.len() as u64,
            on_complete: None,
            context: std::ptr::null_mut(),
            tag: 0,
            want_ticket: 1,
            reserved: 0,
            serial: 0,
            ticket: std::ptr::null_mut(),
        };
        // SAFETY: all handles are alive and the struct says its size.
        check(unsafe { raw::onestep_queue_copy(&mut args) })?;
        Ticket::from_raw(args.ticket)
    }
}

fn raw_copy(copy: &Copy<'_>) -> raw::onestep_copy {
    raw::onestep_copy {
        source: copy.source.0,
        source_offset: copy.source_offset,
        target: copy.target.0,
        target_offset: copy.target_offset,
        bytes: copy.bytes,
    }
}
