//! What can go wrong while training.

use std::path::{Path, PathBuf};

use onestep_data::DataError;
use onestep_engine::EngineError;
use onestep_layers::LayerError;
use onestep_memory::MemoryError;
use onestep_optimizer::OptimizerError;
use thiserror::Error;

/// An error of the trainer, its callbacks or its files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// The model or the loss cannot be built.
    #[error(transparent)]
    Layer(Box<LayerError>),
    /// The optimizer, its groups or the schedule cannot be used.
    #[error(transparent)]
    Optimizer(Box<OptimizerError>),
    /// A sample, a data set or the loader failed.
    #[error(transparent)]
    Data(Box<DataError>),
    /// A step cannot be compiled or run.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// Memory ran out.
    #[error(transparent)]
    Memory(Box<MemoryError>),
    /// A setting that makes no sense.
    #[error("{option}: expected {wanted}, got {got}")]
    Option {
        /// The setting's name.
        option: &'static str,
        /// The values it may have.
        wanted: String,
        /// The value given.
        got: String,
    },
    /// A device that does not exist.
    #[error("unknown device `{got}`; expected auto or one of: {known}")]
    UnknownDevice {
        /// The name given.
        got: String,
        /// The names there are.
        known: String,
    },
    /// A device that cannot be used on this machine.
    #[error("device {device}: {reason}")]
    Device {
        /// Its name.
        device: &'static str,
        /// What it says.
        reason: String,
    },
    /// Data that the model or the loss cannot work on.
    #[error("{subject}: expected {wanted}, got {got}")]
    Mismatch {
        /// What does not fit, such as `digits: input shape`.
        subject: String,
        /// What the model or the loss needs.
        wanted: String,
        /// What there is.
        got: String,
    },
    /// A label beyond the classes of the model, found before it reached the device.
    #[error("sample {sample} of the batch: expected a label from 0 to {}, got {label}", classes.saturating_sub(1))]
    Label {
        /// The sample's place in the batch.
        sample: usize,
        /// Its label.
        label: i32,
        /// The number of classes of the model.
        classes: usize,
    },
    /// The loss is not a number any more.
    #[error(
        "the loss is {loss} in epoch {epoch}, step {step}: training was stopped{}{}; \
         try a smaller learning rate or gradient clipping",
        reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default(),
        last_checkpoint(last_good)
    )]
    NonFinite {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The step of the run, counted from 1.
        step: u64,
        /// The loss: NaN or infinite.
        loss: f32,
        /// What was found to be not finite first, if anything was.
        reason: Option<String>,
        /// The last checkpoint that was written, which is untouched.
        last_good: Option<PathBuf>,
    },
    /// The state has a value that is not finite, so that no checkpoint of it was written.
    #[error(
        "no checkpoint was written to {}: `{tensor}` has a value that is not finite",
        path.display()
    )]
    BadState {
        /// The checkpoint that was to be written.
        path: PathBuf,
        /// The first such tensor.
        tensor: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb phrase ("write the file").
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process writes to the folder.
    #[error(
        "{}: another run{} writes to this folder; wait for its end or choose another folder",
        path.display(), process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process, where it is known.
        process: Option<u32>,
    },
    /// A file of weights that the model cannot take.
    #[error("{}: not usable as weights: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a checkpoint is not what it should be.
    #[error("{}: not a usable checkpoint: {reason}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint belongs to another model.
    #[error(
        "{}: the checkpoint is of another model: expected {wanted}, got {got}; load it with the \
         model it was saved with",
        path.display()
    )]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// The model in use.
        wanted: String,
        /// The model of the checkpoint.
        got: String,
    },
    /// The curves cannot be drawn.
    #[error("{}: cannot draw the curves: {reason}", path.display())]
    Plot {
        /// The picture.
        path: PathBuf,
        /// The drawing library's reason.
        reason: String,
    },
    /// An error of a user's own callback.
    #[error("{message}")]
    Callback {
        /// What happened.
        message: String,
    },
}

/// The errors of the crates below are large, and a result is returned far more often than an error.
macro_rules! boxed {
    ($($error:ident => $variant:ident),*) => {$(
        impl From<$error> for TrainerError {
            fn from(error: $error) -> Self {
                TrainerError::$variant(Box::new(error))
            }
        }
    )*};
}

boxed!(
    LayerError => Layer,
    OptimizerError => Optimizer,
    DataError => Data,
    EngineError => Engine,
    MemoryError => Memory
);

fn last_checkpoint(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => format!("; the last good checkpoint is {}", path.display()),
        None => "; no checkpoint was written before".to_owned(),
    }
}

impl TrainerError {
    /// An error of a user's own callback, from any message.
    pub fn callback(message: impl Into<String>) -> Self {
        TrainerError::Callback { message: message.into() }
    }

    pub(crate) fn option(
        option: &'static str,
        wanted: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        TrainerError::Option { option, wanted: wanted.into(), got: got.to_string() }
    }

    pub(crate) fn mismatch(
        subject: impl Into<String>,
        wanted: impl ToString,
        got: impl ToString,
    ) -> Self {
        TrainerError::Mismatch {
            subject: subject.into(),
            wanted: wanted.to_string(),
            got: got.to_string(),
        }
    }

    pub(crate) fn checkpoint(path: &Path, reason: impl ToString) -> Self {
        TrainerError::Checkpoint { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// A file of weights that the model cannot take.
    pub(crate) fn weights(path: &Path, reason: impl std::fmt::Display) -> Self {
        TrainerError::Weights { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// Names the file in an error of the operating system.
    pub(crate) fn file(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> TrainerError {
        let path = path.to_path_buf();
        move |source| TrainerError::File { path, action, source }
    }
}
