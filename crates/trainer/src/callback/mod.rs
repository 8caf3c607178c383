//! What happens around the steps of a training run.

mod checkpoints;
mod early_stopping;
mod metrics_writer;
mod plot;
mod progress;
mod view;

pub use checkpoints::{BestCheckpoint, Checkpoints};
pub use early_stopping::EarlyStopping;
pub use metrics_writer::{MetricsCsv, MetricsJson};
pub use plot::CurvePlot;
pub use progress::{Progress, ProgressEvent};
pub use view::RunView;

use crate::TrainerError;
use crate::history::{EpochRecord, History};
use crate::metrics::Metrics;

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

/// What a callback has kept, in its own form.
fn recalled<T: serde::de::DeserializeOwned>(
    name: &str,
    state: serde_json::Value,
) -> Result<T, TrainerError> {
    serde_json::from_value(state).map_err(|error| {
        TrainerError::callback(format!("{name}: what the checkpoint keeps is unusable: {error}"))
    })
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
#[derive(Clone, Debug, PartialEq)]
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

/// Hooks of a training run. Each gets a [`RunView`], through which it may save, evaluate, look at
/// everything and ask for an end: that is where a wait is paid for, and nowhere else. A callback of
/// one's own that ends training once the loss was low enough for some steps, and still knows them
/// when the run is resumed:
///
/// ```
/// use onestep_trainer::{Callback, Flow, RunView, StepEvent, TrainerError};
///
/// struct GoodEnough {
///     loss: f32,
///     steps: u64,
/// }
///
/// impl Callback for GoodEnough {
///     fn name(&self) -> &str {
///         "good_enough"
///     }
///     fn on_step(&mut self, _: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
///         let low = step.loss.is_some_and(|loss| loss < self.loss);
///         self.steps = if low { self.steps + 1 } else { 0 };
///         Ok(if self.steps == 10 { Flow::Stop } else { Flow::Continue })
///     }
///     fn state(&self) -> Option<serde_json::Value> {
///         Some(self.steps.into())
///     }
///     fn restore(&mut self, state: serde_json::Value) -> Result<(), TrainerError> {
///         self.steps = state.as_u64().ok_or_else(|| TrainerError::callback("not a number"))?;
///         Ok(())
///     }
/// }
/// ```
///
/// An error of a hook ends `fit`, and so does a panic, which becomes an error: the steps in flight
/// are done, no state is lost, and the trainer can train on.
pub trait Callback {
    /// The name that [`Stop`](crate::Stop), messages and kept state go by.
    fn name(&self) -> &str;

    /// Before the first step of a `fit`, after [`restore`](Self::restore); `run.progress()` tells
    /// what was done before.
    ///
    /// # Errors
    /// Any error ends `fit`, here and in all hooks.
    fn on_fit_start(&mut self, run: &mut RunView<'_>) -> Result<(), TrainerError> {
        let _ = run;
        Ok(())
    }

    /// Before the first batch of an epoch.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_epoch_start(
        &mut self,
        run: &mut RunView<'_>,
        start: &EpochStart,
    ) -> Result<Flow, TrainerError> {
        let _ = (run, start);
        Ok(Flow::Continue)
    }

    /// After a step was submitted. In steady state this must neither wait nor allocate.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_step(&mut self, run: &mut RunView<'_>, step: &StepEvent) -> Result<Flow, TrainerError> {
        let _ = (run, step);
        Ok(Flow::Continue)
    }

    /// After the validation of an epoch; no step is in flight.
    ///
    /// # Errors
    /// Any error ends `fit`.
    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        epoch: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        let _ = (run, epoch);
        Ok(Flow::Continue)
    }

    /// At the end of a `fit` that met no error.
    ///
    /// # Errors
    /// `fit` returns it.
    fn on_fit_end(&mut self, run: &mut RunView<'_>, history: &History) -> Result<(), TrainerError> {
        let _ = (run, history);
        Ok(())
    }

    /// When `fit` is about to return this error: of the data, of the device, of a loss that is not a
    /// number, of any callback. No step is in flight. What goes wrong in here is logged, and `fit`
    /// returns the first error.
    ///
    /// # Errors
    /// They are logged.
    fn on_failure(
        &mut self,
        run: &mut RunView<'_>,
        error: &TrainerError,
    ) -> Result<(), TrainerError> {
        let _ = (run, error);
        Ok(())
    }

    /// What must be known again when the run is resumed; it is part of each checkpoint. `None` for
    /// nothing.
    fn state(&self) -> Option<serde_json::Value> {
        None
    }

    /// Takes what [`state`](Self::state) gave, before [`on_fit_start`](Self::on_fit_start) of a
    /// `fit` that goes on from a checkpoint or from a `fit` before.
    ///
    /// # Errors
    /// A state of another form, which ends `fit`.
    fn restore(&mut self, state: serde_json::Value) -> Result<(), TrainerError> {
        let _ = state;
        Ok(())
    }
}
