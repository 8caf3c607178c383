//! Checkpoints that are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use onestep_data::DataRecord;
use onestep_engine::{StateEntry, StateKind, StateLayout};
use onestep_layers::ModelSpec;

use super::files::{
    BEST, CHANGED, DATA, FILES, MODEL, OPTIONAL, PROGRESS, STATE, TRAINER, WEIGHTS,
};
use super::hash::model_hash;
use super::opened::Opened;
use super::record::Record;
use super::tensors;
use crate::TrainerError;
use crate::config::TrainerConfig;
use crate::snapshot::{Snapshot, is_copy};

/// The most bytes of the record, which grows with the epochs, and of a file of text.
const LARGEST_RECORD: u64 = 1 << 28;
const LARGEST_TEXT: u64 = 1 << 26;

/// A checkpoint in memory. Each file of it was compared with its hash, so all are of one writing.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    pub(crate) record: Record,
    /// All files but the weights, which the state has too.
    contents: BTreeMap<&'static str, Vec<u8>>,
}

impl Checkpoint {
    /// Reads the checkpoint in `folder`, while others may replace it.
    pub(crate) fn read(folder: &Path) -> Result<Self, TrainerError> {
        let mut files = Opened::at(folder)?;
        let text = files.read(PROGRESS, LARGEST_RECORD)?;
        let record = Record::parse(&files.path(PROGRESS), text)?;
        check_names(&record).map_err(|reason| {
            TrainerError::checkpoint(&files.path(PROGRESS), format!("{CHANGED}: {reason}"))
        })?;
        let mut contents = BTreeMap::new();
        for name in FILES {
            let Some(content) = verified(&mut files, &record, name)? else { continue };
            if name != WEIGHTS {
                contents.insert(name, content);
            }
        }
        Ok(Checkpoint { folder: folder.to_path_buf(), record, contents })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn model(&self) -> Result<ModelSpec, TrainerError> {
        let (path, content) = self.content(MODEL);
        let text = std::str::from_utf8(content);
        let text = text.map_err(|error| TrainerError::checkpoint(&path, error))?;
        ModelSpec::from_json(text).map_err(|error| TrainerError::checkpoint(&path, error))
    }

    pub(crate) fn config(&self) -> Result<TrainerConfig, TrainerError> {
        let (path, content) = self.content(TRAINER);
        serde_json::from_slice(content).map_err(|error| TrainerError::checkpoint(&path, error))
    }

    /// What the model learnt from its data, where the checkpoint has it.
    pub(crate) fn data_record(&self) -> Result<Option<DataRecord>, TrainerError> {
        if !self.contents.contains_key(DATA) {
            return Ok(None);
        }
        let (path, content) = self.content(DATA);
        let record = serde_json::from_slice(content);
        record.map(Some).map_err(|error| TrainerError::checkpoint(&path, error))
    }

    /// Refuses a checkpoint of another model.
    pub(crate) fn check_model(&self, model: &ModelSpec) -> Result<(), TrainerError> {
        let wanted = model_hash(model)?;
        // A model that another version wrote may have the same meaning in other words.
        let same = || self.model().and_then(|own| model_hash(&own)).is_ok_and(|own| own == wanted);
        if self.record.model_hash == wanted || same() {
            return Ok(());
        }
        let (name, hash) = (&self.record.model_name, &self.record.model_hash);
        Err(TrainerError::OtherModel {
            path: self.folder.clone(),
            wanted: format!("`{}` ({wanted})", model.name),
            got: format!("`{name}` ({hash})"),
        })
    }

    /// The state table, complete and of the right shapes.
    pub(crate) fn state(&self, layout: &StateLayout) -> Result<Snapshot, TrainerError> {
        let (path, content) = self.content(STATE);
        tensors::parse(&path, content, layout, |_| true)
    }

    /// The best epoch's parameters and states, and averages, where the checkpoint has them.
    pub(crate) fn best(&self, layout: &StateLayout) -> Result<Option<Snapshot>, TrainerError> {
        if !self.contents.contains_key(BEST) {
            return Ok(None);
        }
        let (path, content) = self.content(BEST);
        let kept =
            |entry: &StateEntry| entry.kind != StateKind::Optimizer || is_copy(layout, entry);
        tensors::parse(&path, content, layout, kept).map(Some)
    }

    /// A file's path and content; nothing where the checkpoint does not have it.
    fn content(&self, name: &str) -> (PathBuf, &[u8]) {
        (self.folder.join(name), self.contents.get(name).map_or(&[], Vec::as_slice))
    }
}

/// Whether a record names the files of a checkpoint and no others.
fn check_names(record: &Record) -> Result<(), String> {
    if let Some(name) = record.files.keys().find(|name| !FILES.contains(&name.as_str())) {
        return Err(format!("it names `{name}`, which is no file of a checkpoint"));
    }
    match FILES.iter().find(|name| !OPTIONAL.contains(name) && !record.files.contains_key(**name)) {
        Some(name) => Err(format!("it does not name `{name}`")),
        None => Ok(()),
    }
}

/// The content of a file, which must be what the record says; none where it says nothing of a file
/// that is not there.
fn verified(
    files: &mut Opened,
    record: &Record,
    name: &'static str,
) -> Result<Option<Vec<u8>>, TrainerError> {
    let path = files.path(name);
    let changed = || TrainerError::checkpoint(&path, CHANGED);
    let Some(fingerprint) = record.files.get(name) else {
        // What is there but not written down was put there by somebody else.
        return if files.has(name) { Err(changed()) } else { Ok(None) };
    };
    let most = if [MODEL, TRAINER, DATA].contains(&name) { LARGEST_TEXT } else { u64::MAX };
    let content = files.read(name, fingerprint.bytes().unwrap_or(u64::MAX).min(most))?;
    match fingerprint.fits(&content) {
        true => Ok(Some(content)),
        false => Err(changed()),
    }
}
