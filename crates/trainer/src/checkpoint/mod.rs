//! Checkpoints: the whole state of a training run in a folder.
//!
//! | file | holds |
//! | --- | --- |
//! | `weights.safetensors` | parameters and running statistics by their plain names, for others to load |
//! | `state.safetensors` | the whole state table, the optimizer's state included |
//! | `best.safetensors` | the best epoch's parameters and running statistics, where early stopping keeps them |
//! | `model.json` | the model's specification |
//! | `trainer.json` | the settings: loss, optimizer, schedule and all else |
//! | `progress.json` | epoch, batch, step, seed, the schedule's state, the epochs so far, what callbacks remember, the version of the format, hashes of the model and of the files |
//!
//! A checkpoint is written to a hidden folder beside its place and renamed when it is complete. The
//! one that it replaces is removed last, so that at any moment a complete one is there.

mod folder;
mod hash;
mod progress;
mod tensors;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use onestep_engine::{StateKind, StateLayout, StateTable};
use onestep_layers::ModelSpec;

pub use folder::{existing, locate};
pub use progress::{LoaderState, Progress};

use crate::TrainerError;
use crate::atomic_file::write_atomically;
use crate::config::TrainerConfig;
use crate::trainer::Snapshot;
use folder::Replacement;
use hash::{fnv1a, model_hash};
use progress::{FORMAT_VERSION, ProgressFile};

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
/// How far training has come, and the hashes that hold the files together.
pub const PROGRESS: &str = "progress.json";

/// What a checkpoint is made of.
pub(crate) struct Contents<'a> {
    pub(crate) model: &'a ModelSpec,
    pub(crate) config: &'a TrainerConfig,
    pub(crate) state: &'a StateTable,
    pub(crate) progress: &'a Progress,
    pub(crate) callbacks: &'a BTreeMap<String, serde_json::Value>,
    pub(crate) best: Option<&'a Snapshot>,
}

/// Values by name.
pub(crate) type NamedValues = Vec<(String, Vec<f32>)>;

/// Writes a checkpoint in place of the one in `folder`.
pub(crate) fn write(folder: &Path, contents: &Contents<'_>) -> Result<(), TrainerError> {
    let state = tensors::serialize(contents.state, |_| true)?;
    if let Some(tensor) = state.not_finite {
        return Err(TrainerError::BadState { path: folder.to_path_buf(), tensor });
    }
    let weights = tensors::serialize(contents.state, |kind| kind != StateKind::Optimizer)?;
    let model = contents.model.to_json()?.into_bytes();
    let config = json(folder, contents.config)?;
    let mut files =
        vec![(WEIGHTS, weights.bytes), (STATE, state.bytes), (MODEL, model), (TRAINER, config)];
    if let Some(best) = contents.best {
        let best = tensors::serialize_snapshot(contents.state.layout(), best)?;
        files.push((BEST, best.bytes));
    }
    let progress = ProgressFile {
        format_version: FORMAT_VERSION,
        model_hash: model_hash(contents.model)?,
        model_name: contents.model.name.clone(),
        files: files.iter().map(|(name, bytes)| ((*name).to_owned(), fnv1a(bytes))).collect(),
        progress: contents.progress.clone(),
        callbacks: contents.callbacks.clone(),
    };
    let replacement = Replacement::begin(folder)?;
    for (name, bytes) in &files {
        replacement.file(name, bytes)?;
    }
    replacement.file(PROGRESS, &json(folder, &progress)?)?;
    replacement.complete()
}

fn json(folder: &Path, value: &impl serde::Serialize) -> Result<Vec<u8>, TrainerError> {
    serde_json::to_vec_pretty(value).map_err(|error| TrainerError::checkpoint(folder, error))
}

/// The model of a checkpoint.
pub(crate) fn read_model(folder: &Path) -> Result<ModelSpec, TrainerError> {
    let path = folder.join(MODEL);
    let text = String::from_utf8(read(&path)?);
    let text = text.map_err(|error| TrainerError::checkpoint(&path, error))?;
    ModelSpec::from_json(&text).map_err(|error| TrainerError::checkpoint(&path, error))
}

/// The settings of a checkpoint.
pub(crate) fn read_config(folder: &Path) -> Result<TrainerConfig, TrainerError> {
    read_json(&folder.join(TRAINER))
}

/// How far a checkpoint of `model` has come. The files must be those it was written with.
pub(crate) fn read_progress(
    folder: &Path,
    model: &ModelSpec,
) -> Result<ProgressFile, TrainerError> {
    let path = folder.join(PROGRESS);
    let file: ProgressFile = read_json(&path)?;
    if file.format_version != FORMAT_VERSION {
        let reason = format!(
            "expected format version {FORMAT_VERSION}, got {}; load it with the version of \
             onestep that wrote it",
            file.format_version
        );
        return Err(TrainerError::checkpoint(&path, reason));
    }
    let wanted = model_hash(model)?;
    if file.model_hash != wanted {
        return Err(TrainerError::OtherModel {
            path: folder.to_path_buf(),
            wanted: format!("`{}` ({wanted})", model.name),
            got: format!("`{}` ({})", file.model_name, file.model_hash),
        });
    }
    for (name, hash) in &file.files {
        let path = folder.join(name);
        if fnv1a(&read(&path)?) != *hash {
            let reason = "its content is not what was written with the rest of the checkpoint";
            return Err(TrainerError::checkpoint(&path, reason));
        }
    }
    Ok(file)
}

/// The state table of a checkpoint, complete and of the right shapes.
pub(crate) fn read_state(folder: &Path, layout: &StateLayout) -> Result<NamedValues, TrainerError> {
    let path = folder.join(STATE);
    tensors::parse(&path, &read(&path)?, layout, |_| true)
}

/// The best epoch's parameters and states, where the checkpoint has them.
pub(crate) fn read_best(
    folder: &Path,
    progress: &ProgressFile,
    layout: &StateLayout,
) -> Result<Option<Snapshot>, TrainerError> {
    if !progress.files.contains_key(BEST) {
        return Ok(None);
    }
    let tensors = read_weights(&folder.join(BEST), layout)?;
    Ok(Some(Snapshot { tensors }))
}

/// Parameters and model states of a safetensors file, complete and of the right shapes.
pub(crate) fn read_weights(path: &Path, layout: &StateLayout) -> Result<NamedValues, TrainerError> {
    tensors::parse(path, &read(path)?, layout, |kind| kind != StateKind::Optimizer)
}

/// Writes parameters and model states.
pub(crate) fn write_weights(path: &Path, state: &StateTable) -> Result<(), TrainerError> {
    let weights = tensors::serialize(state, |kind| kind != StateKind::Optimizer)?;
    write_atomically(path, |file| file.write_all(&weights.bytes))
}

fn read(path: &Path) -> Result<Vec<u8>, TrainerError> {
    fs::read(path).map_err(TrainerError::file(path, "read the file of a checkpoint"))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainerError> {
    serde_json::from_slice(&read(path)?).map_err(|error| TrainerError::checkpoint(path, error))
}

/// An I/O error with the path that it is about.
fn io(path: &Path, action: &'static str, source: io::Error) -> TrainerError {
    TrainerError::File { path: PathBuf::from(path), action, source }
}
