//! Checkpoints: the whole state of a training run in a folder.
//!
//! | file | holds |
//! | --- | --- |
//! | `weights.safetensors` | parameters and running statistics by their plain names, for others to load: those that the model is used with, after early stopping the restored best |
//! | `state.safetensors` | the whole state table of the last step, the optimizer's state included: what training goes on from |
//! | `best.safetensors` | the best epoch's parameters and running statistics, where early stopping keeps them |
//! | `model.json` | the model's specification |
//! | `trainer.json` | the settings: loss, optimizer, schedule and all else |
//! | `data.json` | what the model learnt from its data: names of classes and columns, the scale of targets |
//! | `progress.json` | epoch, batch, step, seed, the schedule's state, the epochs so far, what callbacks remember, the version of the format, size and SHA-256 of the other files and of itself |
//!
//! A checkpoint is written to a hidden folder beside its place, which then swaps places with the
//! one before, and that is removed last. So at any moment a complete one is there, and what a reader
//! opens is of one checkpoint. Where a system cannot swap folders, the one before has the name
//! `.NAME.previous` between two renames, and readers look there too.
//!
//! Reading takes the plain files of these names and nothing else, and compares each with its hash
//! before anything is made of it. The hashes find damage and careless edits; whoever changes a file
//! and all hashes is believed.

mod files;
mod folder;
mod hash;
mod leftovers;
mod opened;
mod progress;
mod reading;
mod record;
mod tensors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onestep_data::DataRecord;
use onestep_engine::{StateKind, StateTable};
use onestep_layers::ModelSpec;

pub use files::{BEST, DATA, MODEL, PROGRESS, STATE, TRAINER, WEIGHTS};
pub(crate) use folder::check_place;
pub use leftovers::remove_leftovers;
pub(crate) use opened::read_bounded;
pub(crate) use progress::OwnCode;
pub use progress::{LoaderState, Progress};
pub(crate) use reading::Checkpoint;
pub(crate) use record::Record;

use crate::TrainerError;
use crate::config::TrainerConfig;
use crate::snapshot::Snapshot;
use folder::Replacement;
use hash::model_hash;
use record::Fingerprint;

/// What a checkpoint is made of.
pub(crate) struct Contents<'a> {
    pub(crate) model: &'a ModelSpec,
    pub(crate) config: &'a TrainerConfig,
    pub(crate) state: &'a StateTable,
    /// The last step's parameters and states, where the table has those of the best epoch.
    pub(crate) last: Option<&'a Snapshot>,
    /// The parameters in use, where those are an average.
    pub(crate) averaged: Option<&'a Snapshot>,
    pub(crate) progress: &'a Progress,
    pub(crate) callbacks: &'a BTreeMap<String, serde_json::Value>,
    pub(crate) best: Option<&'a Snapshot>,
    pub(crate) record: &'a DataRecord,
}

/// Writes a checkpoint in place of the one in `folder`.
pub(crate) fn write(folder: &Path, contents: &Contents<'_>) -> Result<(), TrainerError> {
    let state = tensors::serialize(contents.state, contents.last, |_| true)?;
    if let Some(tensor) = state.not_finite {
        return Err(TrainerError::BadState { path: folder.to_path_buf(), tensor });
    }
    let used = contents.averaged;
    let weights = tensors::serialize(contents.state, used, |kind| kind != StateKind::Optimizer)?;
    let model = contents.model.to_json()?.into_bytes();
    let config = json(folder, contents.config)?;
    let record = json(folder, contents.record)?;
    let mut files = vec![
        (WEIGHTS, weights.bytes),
        (STATE, state.bytes),
        (MODEL, model),
        (TRAINER, config),
        (DATA, record),
    ];
    if let Some(best) = contents.best {
        let best = tensors::serialize_snapshot(contents.state.layout(), best)?;
        files.push((BEST, best.bytes));
    }
    let hashes = files.iter().map(|(name, bytes)| ((*name).to_owned(), Fingerprint::of(bytes)));
    let model = (contents.model.name.clone(), model_hash(contents.model)?);
    let (progress, callbacks) = (contents.progress.clone(), contents.callbacks.clone());
    let record = Record::new(model, hashes.collect(), progress, callbacks);
    let record = record.sealed().map_err(|error| TrainerError::checkpoint(folder, error))?;
    let replacement = Replacement::begin(folder)?;
    for (name, bytes) in &files {
        replacement.file(name, bytes)?;
    }
    replacement.file(PROGRESS, &record)?;
    replacement.complete()
}

/// Whether the settings can be written.
pub(crate) fn check_writable(config: &TrainerConfig) -> Result<(), TrainerError> {
    json(Path::new(TRAINER), config).map(|_| ())
}

fn json(folder: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>, TrainerError> {
    serde_json::to_vec_pretty(value).map_err(|error| TrainerError::checkpoint(folder, error))
}

/// The checkpoint that a folder is, or that it holds under the first of these names that there is:
/// a run's folder may have its checkpoints in `last` and `best`.
///
/// ```
/// use std::path::Path;
/// let run = Path::new("runs/none-there");
/// assert_eq!(onestep_trainer::checkpoint::locate(run, &["best", "last"]), run);
/// ```
pub fn locate(folder: &Path, names: &[&str]) -> PathBuf {
    let candidates = names.iter().map(|name| folder.join(name));
    let mut all = [folder.to_path_buf()].into_iter().chain(candidates);
    all.find(|path| opened::is_checkpoint(path)).unwrap_or_else(|| folder.to_path_buf())
}

/// Removes the checkpoint in a folder, and the folder; nothing where there is none.
///
/// # Errors
/// [`TrainerError::Checkpoint`] where the folder holds something that is not part of a checkpoint:
/// then all stays. [`TrainerError::File`].
pub fn remove(folder: &Path) -> Result<(), TrainerError> {
    folder::remove(folder)
}
