//! Folders of files: what is in them, a class for each folder, and parts for each folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::parts::{HELD_OUT, hold_out};
use crate::random::KeyHasher;
use crate::shown::listed;
use crate::{DataError, DataSplits, Dataset, Division, shown};

const TRAIN: &str = "train";
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: &str = "test";

/// The files that a kind of data is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileKind {
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    pub(super) extensions: &'static [&'static str],
}

impl FileKind {
    /// Whether a path is a file of the kind, by its extension.
    pub(super) fn is(&self, path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let known = |found: &str| self.extensions.iter().any(|e| e.eq_ignore_ascii_case(found));
        path.is_file() && extension.is_some_and(known)
    }

    /// What is in a folder, for people who gave another one than they thought.
    pub(super) fn contents(&self, paths: &[PathBuf]) -> String {
        let folders = paths.iter().filter(|path| path.is_dir()).count();
        let files = paths.iter().filter(|path| self.is(path)).count();
        let others = paths.len() - folders - files;
        format!("{folders} folders, {files} {} and {others} other files", self.many)
    }

    /// The files of the kind in a folder, sorted by name, at least one.
    pub(super) fn files(&self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let mut files = list(folder, &format!("a folder of {}", self.many))?;
        if !files.iter().any(|path| self.is(path)) {
            let wanted = format!("at least one {} ({})", self.one, self.extensions.join(", "));
            return Err(DataError::format(folder, "content", wanted, self.contents(&files)));
        }
        files.retain(|path| self.is(path));
        Ok(files)
    }

    /// The error of a folder without folders of classes.
    pub(super) fn no_classes(&self, dir: &Path, paths: &[PathBuf]) -> DataError {
        let many = self.many;
        let wanted =
            format!("a folder per class with {many} in it, or such folders in train/ and val/");
        DataError::format(dir, "content", wanted, self.contents(paths))
    }

    /// The classes by name, each with its folder.
    pub(super) fn class_folders(&self, dir: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
        let paths = list(dir, &format!("a folder with a folder of {} per class", self.many))?;
        let folders: Vec<&PathBuf> = paths.iter().filter(|path| path.is_dir()).collect();
        if folders.is_empty() {
            return Err(self.no_classes(dir, &paths));
        }
        let class = |folder: &PathBuf| match folder.file_name().and_then(|name| name.to_str()) {
            Some(name) => Ok((name.to_owned(), folder.clone())),
            None => {
                let wanted = "a name that is UTF-8 text, as it is the class's; rename the folder";
                Err(DataError::format(folder, "class", wanted, format!("{:?}", folder.file_name())))
            }
        };
        folders.into_iter().map(class).collect()
    }
}

/// The number of a class among those that are known.
pub(super) fn label_of(name: &str, folder: &Path, classes: &[String]) -> Result<i32, DataError> {
    let label = classes.iter().position(|class| class == name);
    label.and_then(|label| i32::try_from(label).ok()).ok_or_else(|| {
        let wanted = format!("one of the classes to learn ({})", listed(classes));
        DataError::format(folder, "class", wanted, shown(name))
    })
}

/// A number for a file's place below `dir`, which holds wherever `dir` stands.
pub(super) fn key_below(dir: &Path, path: &Path) -> u64 {
    let mut hasher = KeyHasher::new();
    for part in path.strip_prefix(dir).unwrap_or(path).iter() {
        hasher.add(part.as_encoded_bytes());
        hasher.add(b"/");
    }
    hasher.finish()
}

pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn is_hidden(path: &Path) -> bool {
    file_name(path).starts_with('.')
}

/// What a folder holds, sorted by name, without what is hidden.
pub(super) fn list(dir: &Path, wanted: &str) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::io(dir, "read the folder", wanted, source);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| !is_hidden(path));
    paths.sort();
    Ok(paths)
}

/// The parts of a folder: `train/`, with `val/` (or `valid/`, `validation/`) and `test/` where they are
/// there, or what stands in the folder itself; without `val/` about a fifth is held out. `scan` reads a
/// part, given that to learn from once it is there; `many` is what samples are called in notes.
pub(super) fn in_parts<D: Dataset + 'static>(
    dir: &Path,
    many: &str,
    mut scan: impl FnMut(&Path, Option<&D>) -> Result<D, DataError>,
) -> Result<(DataSplits, Arc<D>), DataError> {
    let name = shown(&file_name(dir));
    let train_dir = dir.join(TRAIN);
    let held_out =
        |dir: &Path, all: Arc<D>| hold_out(dir, name.clone(), all, HELD_OUT, Division::Key);
    if !train_dir.is_dir() {
        let all = Arc::new(scan(dir, None)?);
        return Ok((held_out(dir, all.clone())?, all));
    }
    let train = Arc::new(scan(&train_dir, None)?);
    let mut part = |name: &str| -> Result<Option<Arc<D>>, DataError> {
        let dir = dir.join(name);
        let is_there = dir.is_dir();
        is_there.then(|| scan(&dir, Some(&train)).map(Arc::new)).transpose()
    };
    let found: Vec<&str> = VALIDATION.into_iter().filter(|name| dir.join(name).is_dir()).collect();
    if found.len() > 1 {
        let wanted = "one folder to validate on";
        return Err(DataError::format(dir, "folders", wanted, found.join("/ and ") + "/"));
    }
    let validation = found.first().map(|name| part(name)).transpose()?.flatten();
    let test = part(TEST)?;
    let mut splits = match validation {
        Some(validation) => DataSplits::new(name.clone(), train.clone(), validation)?,
        None => {
            let splits = held_out(&train_dir, train.clone())?;
            let count = splits.validation.len();
            let kept = if test.is_some() { "; test/ is kept as the test part" } else { "" };
            splits.with_note(format!(
                "there is no val/, so {count} {many} of train/ are held out to validate on{kept}"
            ))
        }
    };
    if let Some(test) = test {
        splits = splits.with_test(test)?;
    }
    Ok((splits, train))
}
