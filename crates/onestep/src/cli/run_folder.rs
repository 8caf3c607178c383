//! The folder of a training run and what lies in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use onestep::trainer::FolderLock;
use onestep::trainer::checkpoint::{self, PROGRESS};

use super::checkpoint::LAST;

/// The folder that default run folders are made in.
const RUNS: &str = "runs";

/// What a run saves beside its checkpoint, and what cannot be made again without it.
const RESULTS: [&str; 4] = ["weights.safetensors", "metrics.csv", "metrics.json", "curves.svg"];

/// The folder of a run, which no other run writes to meanwhile. One that was made for a run which
/// then saves nothing is removed again.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    made: bool,
    /// Held to the end of the run.
    lock: Option<FolderLock>,
}

impl RunFolder {
    /// A folder that was asked for, which may exist. What killed runs have left there is removed.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let made = !path.exists();
        fs::create_dir_all(path).with_context(|| cannot_make(path))?;
        Self::locked(path.to_path_buf(), made)
    }

    /// A new folder `runs/NAME-N` with the lowest number that is free.
    pub(crate) fn fresh(name: &str) -> Result<Self> {
        let runs = Path::new(RUNS);
        fs::create_dir_all(runs).with_context(|| cannot_make(runs))?;
        for number in 1..100_000u32 {
            let path = runs.join(format!("{}-{number}", plain(name)));
            match fs::create_dir(&path) {
                Ok(()) => return Self::locked(path, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| cannot_make(&path)),
            }
        }
        Err(anyhow!("{RUNS}: full of runs of {name}; choose another folder with --out"))
    }

    /// Locks the folder, which also shows before training whether results can be saved after it.
    fn locked(path: PathBuf, made: bool) -> Result<Self> {
        let lock = FolderLock::take(&path)
            .with_context(|| format!("{}: no run can be saved there", path.display()))?;
        if let Err(error) = checkpoint::remove_leftovers(&path) {
            log::warn!("what a killed run has left was not removed: {error}");
        }
        Ok(RunFolder { path, made, lock: Some(lock) })
    }

    /// Refuses a folder that holds a run, or removes that run where it may be overwritten.
    pub(crate) fn make_room(&self, overwrite: bool) -> Result<()> {
        let (path, last) = (self.path.display(), self.file(LAST));
        if self.file(PROGRESS).exists() {
            bail!("{path}: it is a checkpoint, and no place for a run; choose another with --out");
        }
        let results = RESULTS.map(|name| self.file(name));
        let there = |path: &&PathBuf| path.symlink_metadata().is_ok();
        if !results.iter().chain([&last]).any(|path| there(&path)) {
            return Ok(());
        }
        if !overwrite {
            bail!(
                "{path}: a run is already there; continue it with --resume {path}, replace it with \
                 --overwrite, or choose another folder with --out"
            );
        }
        checkpoint::remove(&last)?;
        for path in results.iter().filter(there) {
            fs::remove_file(path)
                .with_context(|| format!("{}: cannot remove the file", path.display()))?;
        }
        Ok(())
    }

    /// Whether this is the folder that another path leads to.
    pub(crate) fn is(&self, path: &Path) -> bool {
        let same = |path: &Path| fs::canonicalize(path).ok();
        same(path).is_some_and(|other| same(&self.path) == Some(other))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        drop(self.lock.take());
        if self.made {
            // Fails, as it should, for a folder that holds something.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn cannot_make(path: &Path) -> String {
    format!("{}: cannot make the folder; choose another with --out", path.display())
}

/// A model's name as part of a folder's.
fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let plain: String = name.chars().map(keep).take(64).collect();
    let plain = plain.trim_matches('.').to_owned();
    if plain.is_empty() { "model".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_paths() {
        assert_eq!(plain("seed-cnn"), "seed-cnn");
        assert_eq!(plain("../a b/c"), "-a-b-c");
        assert_eq!(plain(".."), "model");
    }

    #[test]
    fn a_run_is_not_overwritten_unless_that_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let folder = RunFolder::at(&path).unwrap();
        // A model and notes are no run.
        for name in ["model.json", "notes.txt"] {
            fs::write(folder.file(name), name).unwrap();
        }
        folder.make_room(false).unwrap();
        for name in RESULTS {
            fs::write(folder.file(name), "").unwrap();
            let error = folder.make_room(false).unwrap_err().to_string();
            assert!(error.contains("--overwrite") && error.contains("--resume"), "{error}");
            folder.make_room(true).unwrap();
            assert!(!folder.file(name).exists());
        }
        assert!(folder.file("model.json").exists() && folder.file("notes.txt").exists());
        fs::create_dir(folder.file(LAST)).unwrap();
        fs::write(folder.file(LAST).join("thesis.txt"), "precious").unwrap();
        let error = folder.make_room(true).unwrap_err().to_string();
        assert!(error.contains("thesis.txt"), "{error}");
        fs::write(folder.file(PROGRESS), "").unwrap();
        let error = folder.make_room(true).unwrap_err().to_string();
        assert!(error.contains("it is a checkpoint"), "{error}");
    }

    #[test]
    fn a_folder_belongs_to_one_run_and_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run");
        let first = RunFolder::at(&path).unwrap();
        let error = format!("{:#}", RunFolder::at(&path).unwrap_err());
        assert!(error.contains("another run"), "{error}");
        assert!(first.is(&root.path().join("./run")) && !first.is(root.path()));
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = RunFolder::at(&file.join("out")).unwrap_err().to_string();
        assert!(error.contains("file/out") && error.contains("--out"), "{error}");
    }
}
