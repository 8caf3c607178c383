//! Steps whose losses have not arrived yet.

use std::collections::VecDeque;

use onestep_engine::Ticket;

use crate::TrainerError;
use crate::metrics::{Counted, Figures, Meter};

/// A step in flight.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) batch: Counted,
    /// The epoch from 0 and its batch from 0, to find the samples again.
    pub(super) place: (usize, usize),
    /// The step of the run, from 1.
    pub(super) step: u64,
}

/// A loss that has arrived but is not a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offence {
    pub(super) loss: f32,
    pub(super) place: (usize, usize),
    pub(super) step: u64,
}

/// The queue of steps in flight. Its capacity is taken once, so that a step allocates nothing.
#[derive(Debug)]
pub(super) struct Flight {
    pending: VecDeque<Pending>,
    limit: usize,
    figures: Figures,
    /// The loss that arrived last.
    pub(super) last_loss: Option<f32>,
    /// The first loss that is not finite.
    pub(super) offence: Option<Offence>,
}

impl Flight {
    pub(super) fn new(limit: usize, figures: Figures) -> Self {
        let pending = VecDeque::with_capacity(limit + 1);
        Flight { pending, limit, figures, last_loss: None, offence: None }
    }

    pub(super) fn push(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    /// Takes what has arrived into the meter without a wait. Only where as many steps are in
    /// flight as may be, it waits for the oldest: the device is the bottleneck then.
    pub(super) fn collect(&mut self, meter: &mut Meter) -> Result<(), TrainerError> {
        while let Some(oldest) = self.pending.front() {
            let reports = match oldest.ticket.poll()? {
                Some(reports) => reports,
                None if self.pending.len() >= self.limit => oldest.ticket.wait()?,
                None => break,
            };
            self.take(meter, reports);
        }
        Ok(())
    }

    /// Waits for all.
    pub(super) fn drain(&mut self, meter: &mut Meter) -> Result<(), TrainerError> {
        while let Some(oldest) = self.pending.front() {
            let reports = oldest.ticket.wait()?;
            self.take(meter, reports);
        }
        Ok(())
    }

    /// Forgets all, after a failure.
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.offence = None;
    }

    fn take(&mut self, meter: &mut Meter, reports: onestep_engine::Reports) {
        let Some(step) = self.pending.pop_front() else { return };
        let loss = reports.loss().unwrap_or(f32::NAN);
        self.last_loss = Some(loss);
        if !loss.is_finite() && self.offence.is_none() {
            self.offence = Some(Offence { loss, place: step.place, step: step.step });
        }
        meter.add(&self.figures, reports.values(), step.batch);
    }
}
