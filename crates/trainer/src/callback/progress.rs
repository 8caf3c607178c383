//! A hook for progress bars.

use crate::TrainerError;
use crate::callback::{Callback, EpochStart, Flow, RunView, StepEvent};
use crate::history::{EpochRecord, History};

/// What a [`Progress`] callback tells of.
#[derive(Clone, Copy, Debug)]
pub enum ProgressEvent<'a> {
    /// An epoch begins.
    EpochStart(&'a EpochStart),
    /// A step was submitted.
    Step(&'a StepEvent),
    /// An epoch has ended.
    EpochEnd(&'a EpochRecord),
    /// The run has ended.
    End(&'a History),
}

/// Calls a function with everything that a progress bar or a log shows.
///
/// ```
/// use onestep_trainer::{Progress, ProgressEvent};
///
/// let mut bar = Progress::new(|event| {
///     if let ProgressEvent::EpochEnd(epoch) = event {
///         println!("epoch {}: loss {:.4}", epoch.epoch, epoch.train.loss);
///     }
/// });
/// # let _: &mut dyn onestep_trainer::Callback = &mut bar;
/// ```
pub struct Progress<F> {
    tell: F,
}

impl<F: FnMut(ProgressEvent<'_>)> Progress<F> {
    /// A callback around a function.
    pub fn new(tell: F) -> Self {
        Progress { tell }
    }
}

impl<F: FnMut(ProgressEvent<'_>)> Callback for Progress<F> {
    fn name(&self) -> &str {
        "progress"
    }

    fn on_epoch_start(
        &mut self,
        _: &mut RunView<'_>,
        start: &EpochStart,
    ) -> Result<Flow, TrainerError> {
        (self.tell)(ProgressEvent::EpochStart(start));
        Ok(Flow::Continue)
    }

    fn on_step(&mut self, _: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
        (self.tell)(ProgressEvent::Step(step));
        Ok(Flow::Continue)
    }

    fn on_epoch_end(
        &mut self,
        _: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        (self.tell)(ProgressEvent::EpochEnd(epoch));
        Ok(Flow::Continue)
    }

    fn on_fit_end(&mut self, _: &mut RunView<'_>, history: &History) -> Result<(), TrainerError> {
        (self.tell)(ProgressEvent::End(history));
        Ok(())
    }
}
