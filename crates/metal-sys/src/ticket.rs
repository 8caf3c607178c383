//! Claims on the scalars of steps.

use std::time::Duration;

use crate::error::MetalError;
use crate::handle::handle;
use crate::native::{check, struct_bytes};
use crate::raw;

handle! {
    /// A claim on the scalars of one step.
    Ticket, raw::onestep_ticket, raw::onestep_ticket_release
}

/// The scalars of a finished step: the loss, then the program's reports, then the update's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reports {
    values: [f32; raw::MAX_REPORTS],
    count: usize,
}

impl Reports {
    /// All of them in order.
    pub fn values(&self) -> &[f32] {
        &self.values[..self.count.min(raw::MAX_REPORTS)]
    }
}

impl Ticket {
    /// The scalars if the step is done; never waits.
    ///
    /// # Errors
    /// The step's own.
    pub fn poll(&self) -> Result<Option<Reports>, MetalError> {
        let mut result = empty();
        // SAFETY: the handle is alive and the struct says its size.
        check(unsafe { raw::onestep_ticket_poll(self.as_raw(), &mut result) })?;
        Ok((result.done != 0).then(|| reports(&result)))
    }

    /// Waits for the step, at most `timeout` where one is given.
    ///
    /// # Errors
    /// The step's own, or [`MetalError::TimedOut`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Reports, MetalError> {
        let mut result = empty();
        let limit = |t: Duration| u64::try_from(t.as_millis()).unwrap_or(u64::MAX);
        let milliseconds = timeout.map_or(u64::MAX, limit);
        // SAFETY: the handle is alive and the struct says its size.
        check(unsafe { raw::onestep_ticket_wait(self.as_raw(), milliseconds, &mut result) })?;
        Ok(reports(&result))
    }
}

fn empty() -> raw::onestep_ticket_result {
    raw::onestep_ticket_result {
        struct_bytes: struct_bytes::<raw::onestep_ticket_result>(),
        serial: 0,
        done: 0,
        value_count: 0,
        values: [0.0; raw::MAX_REPORTS],
    }
}

fn reports(result: &raw::onestep_ticket_result) -> Reports {
    Reports { values: result.values, count: result.value_count as usize }
}
