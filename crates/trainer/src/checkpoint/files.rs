//! The files of a checkpoint by name.

use std::io;
use std::path::{Path, PathBuf};

use crate::TrainerError;
use crate::atomic_file::hidden;

/// Parameters and running statistics by their plain names.
pub const WEIGHTS: &str = "weights.safetensors";
/// The whole state table.
pub const STATE: &str = "state.safetensors";
/// The best epoch's parameters and running statistics, where early stopping keeps them.
pub const BEST: &str = "best.safetensors";
/// The model's specification.
pub const MODEL: &str = "model.json";
/// The settings.
pub const TRAINER: &str = "trainer.json";
/// What the model learnt from its data.
pub const DATA: &str = "data.json";
/// How far training has come, and the hashes that hold the files together.
pub const PROGRESS: &str = "progress.json";

/// All files but the record.
pub(super) const FILES: [&str; 6] = [WEIGHTS, STATE, BEST, MODEL, TRAINER, DATA];

/// Those that not every checkpoint has.
pub(super) const OPTIONAL: [&str; 2] = [BEST, DATA];

/// Why a file is refused.
pub(super) const CHANGED: &str =
    "its content is not what was written with the rest of the checkpoint";

/// Where a checkpoint stays while the next one takes its place, on systems that cannot swap them.
pub(super) fn previous(folder: &Path) -> PathBuf {
    hidden(folder, "previous")
}

/// An I/O error with the path that it is about.
pub(super) fn io_error(path: &Path, action: &'static str, source: io::Error) -> TrainerError {
    TrainerError::File { path: PathBuf::from(path), action, source }
}
