//! What happens around the steps of a training run.

mod checkpoints;
mod early_stopping;
mod metrics_writer;
mod plot;
mod progress;

pub use checkpoints::{BestCheckpoint, Checkpoints};
pub use early_stopping::EarlyStopping;
pub use metrics_writer::{MetricsCsv, MetricsJson};
pub use plot::CurvePlot;
pub use progress::{Progress, ProgressEvent};

use crate::TrainerError;
use crate::history::{EpochRecord, History, Metrics};
use crate::trainer::Trainer;

/// The files beside the checkpoint are worth a warning, not the run: they are written anew after the
/// next epoch. Each failure is told once, in the log, and the last one is kept.
#[derive(Clone, Debug, Default)]
struct Mishap(Option<String>);

impl Mishap {
    fn note(&mut self, written: Result<(), TrainerError>) -> Result<Flow, TrainerError> {
        let now = written.err().map(|error| error.to_string());
        if let Some(error) = now.as_ref().filter(|_| now != self.0) {
            log::warn!("training goes on without a file: {error}");
        }
        self.0 = now;
        Ok(Flow::Continue)
    }
}

/// Whether training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Training goes on.
    Continue,
    /// Training ends after this hook; `fit` returns what there is.
    Stop,
}

/// An epoch that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// Its number, from 1.
    pub epoch: usize,
    /// The number of epochs of the run.
    pub epochs: usize,
    /// Its batches.
    pub batches: usize,
    /// Those that were done before a resumption.
    pub done: usize,
}

/// A step that was submitted. It is made without a wait and without an allocation, so its figures
/// are those of the steps whose losses have arrived by now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepEvent {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The batch within the epoch, from 1.
    pub batch: usize,
    /// The batches of the epoch.
    pub batches: usize,
    /// The step of the run, from 1.
    pub step: u64,
    /// Samples in the batch.
    pub samples: usize,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The latest loss that has arrived.
    pub loss: Option<f32>,
    /// Means over the epoch so far.
    pub running: Metrics,
    /// Seconds since the epoch began.
    pub seconds: f64,
}

/// Hooks of a training run. Each gets the trainer, which it may save, evaluate or look at: that is
/// where a wait is paid for, and nowhere else. A callback of one's own that ends training once the
/// loss is low enough:
///
/// ```
/// use onestep_trainer::{Callback, Flow, StepEvent, Trainer, TrainerError};
///
/// struct GoodEnough(f32);
///
/// impl Callback for GoodEnough {
///     fn name(&self) -> &str {
///         "good_enough"
///     }
///     fn on_step(&mut self, _: &mut Trainer, step: &StepEvent) -> Result<Flow, TrainerError> {
///         Ok(if step.loss.is_some_and(|loss| loss < self.0) { Flow::Stop } else { Flow::Continue })
///     }
/// }
/// ```
pub trait Callback {
    /// The name that [`Stop`](crate::Stop) and remembered state go by.
    fn name(&self) -> &str;

    /// Before the first step of a `fit`; `trainer.progress()` tells what was done before.
    ///
    /// # Errors
    /// Any error ends `fit`, here and in all hooks.
    fn on_fit_start(&mut self, trainer: &mut Trainer) -> Result<(), TrainerError> {
        let _ = trainer;
        Ok(())
    }

    /// Before the first batch of an epoch.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_epoch_start(
        &mut self,
        trainer: &mut Trainer,
        start: &EpochStart,
    ) -> Result<Flow, TrainerError> {
        let _ = (trainer, start);
        Ok(Flow::Continue)
    }

    /// After a step was submitted. In steady state this must neither wait nor allocate.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_step(&mut self, trainer: &mut Trainer, step: &StepEvent) -> Result<Flow, TrainerError> {
        let _ = (trainer, step);
        Ok(Flow::Continue)
    }

    /// After the validation of an epoch; no step is in flight.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_epoch_end(
        &mut self,
        trainer: &mut Trainer,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let _ = (trainer, epoch);
        Ok(Flow::Continue)
    }

    /// At the end of a `fit` that met no error.
    ///
    /// # Errors
    /// `fit` returns it.
    fn on_fit_end(&mut self, trainer: &mut Trainer, history: &History) -> Result<(), TrainerError> {
        let _ = (trainer, history);
        Ok(())
    }
}
