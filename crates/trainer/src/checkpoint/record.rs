//! The content of `progress.json`, which holds the files of a checkpoint together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::CHANGED;
use super::hash::{fnv1a, sha256};
use super::progress::Progress;
use crate::TrainerError;

/// The version of the folder's format that is written. The second, which did not count the batches of
/// the next step, and the first, which had short hashes and none of the record itself, are still read.
const FORMAT_VERSION: u32 = 3;

/// Stands for the record's own hash while that is computed.
const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    format_version: u32,
    pub(super) model_hash: String,
    pub(super) model_name: String,
    /// What each other file is.
    pub(super) files: BTreeMap<String, Fingerprint>,
    pub(crate) progress: Progress,
    pub(crate) callbacks: BTreeMap<String, serde_json::Value>,
    /// The hash of the record itself, with zeros in place of this value. It comes last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Fingerprint {
    /// Of the first version of the format.
    Fnv1a(String),
    /// Size and hash.
    Sha256 { bytes: u64, sha256: String },
}

impl Fingerprint {
    pub(super) fn of(content: &[u8]) -> Self {
        Fingerprint::Sha256 { bytes: content.len() as u64, sha256: sha256(content) }
    }

    /// The size that the file must have, where it is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Fingerprint::Fnv1a(_) => None,
            Fingerprint::Sha256 { bytes, .. } => Some(*bytes),
        }
    }

    pub(super) fn fits(&self, content: &[u8]) -> bool {
        match self {
            Fingerprint::Fnv1a(hash) => fnv1a(content) == *hash,
            Fingerprint::Sha256 { .. } => Fingerprint::of(content) == *self,
        }
    }
}

#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

impl Record {
    pub(super) fn new(
        model: (String, String),
        files: BTreeMap<String, Fingerprint>,
        progress: Progress,
        callbacks: BTreeMap<String, serde_json::Value>,
    ) -> Self {
        let (model_name, model_hash) = model;
        let format_version = FORMAT_VERSION;
        Record { format_version, model_hash, model_name, files, progress, callbacks, sha256: None }
    }

    /// The text of the record with its own hash in it.
    pub(super) fn sealed(mut self) -> serde_json::Result<Vec<u8>> {
        self.sha256 = Some(UNSEALED.to_owned());
        let mut text = serde_json::to_vec_pretty(&self)?;
        let seal = sha256(&text);
        replace_last(&mut text, UNSEALED, &seal);
        Ok(text)
    }

    /// Reads the text of a record, which must be as it was written.
    pub(super) fn parse(path: &Path, text: Vec<u8>) -> Result<Self, TrainerError> {
        let unusable = |reason: String| TrainerError::checkpoint(path, reason);
        let version: Version =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        if !(1..=FORMAT_VERSION).contains(&version.format_version) {
            return Err(unusable(format!(
                "expected format version {FORMAT_VERSION}, got {}; load it with the version of \
                 onestep that wrote it",
                version.format_version
            )));
        }
        let record: Record =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        let whole = record.is_sealed(text) && record.progress.is_plausible();
        if !whole || record.files.values().any(|file| !record.suits(file)) {
            return Err(unusable(CHANGED.to_owned()));
        }
        Ok(record)
    }

    /// Whether a file's fingerprint is of the record's version: an older one would say less.
    fn suits(&self, file: &Fingerprint) -> bool {
        matches!(file, Fingerprint::Fnv1a(_)) == (self.format_version == 1)
    }

    fn is_sealed(&self, mut text: Vec<u8>) -> bool {
        match &self.sha256 {
            None => self.format_version == 1,
            Some(seal) => {
                seal.len() == UNSEALED.len()
                    && replace_last(&mut text, seal, UNSEALED)
                    && sha256(&text) == *seal
            }
        }
    }
}

/// Replaces the last place of a text by another of the same length. Tells whether there is one.
fn replace_last(text: &mut [u8], old: &str, new: &str) -> bool {
    let Some(at) = text.windows(old.len()).rposition(|window| window == old.as_bytes()) else {
        return false;
    };
    text[at..at + old.len()].copy_from_slice(new.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Vec<u8> {
        let files = BTreeMap::from([("a".to_owned(), Fingerprint::of(b"content"))]);
        let model = ("net".to_owned(), "hash".to_owned());
        Record::new(model, files, Progress::new(7), BTreeMap::new()).sealed().unwrap()
    }

    #[test]
    fn every_changed_byte_is_found() {
        let text = sealed();
        let path = Path::new("progress.json");
        assert_eq!(Record::parse(path, text.clone()).unwrap().progress.seed, 7);
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(Record::parse(path, changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn the_check_cannot_be_switched_off() {
        let path = Path::new("progress.json");
        let mut value: serde_json::Value = serde_json::from_slice(&sealed()).unwrap();
        value.as_object_mut().unwrap().remove("sha256");
        assert!(Record::parse(path, value.to_string().into_bytes()).is_err());
        value["format_version"] = 1.into();
        assert!(Record::parse(path, value.to_string().into_bytes()).is_err());
        value["files"] = serde_json::json!({});
        // A record of the first version without files says nothing of them, which reading refuses.
        assert!(Record::parse(path, value.to_string().into_bytes()).unwrap().files.is_empty());
    }
}
