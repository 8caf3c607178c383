//! The folder of a training run and what lies in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

/// The folder that default run folders are made in.
const RUNS: &str = "runs";

/// The folder of a run. One that was made for a run which then saves nothing is removed again.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    made: bool,
}

impl RunFolder {
    /// A folder that was asked for, which may exist.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let made = !path.exists();
        fs::create_dir_all(path).with_context(|| cannot_make(path))?;
        let folder = RunFolder { path: path.to_path_buf(), made };
        folder.check_writable()?;
        Ok(folder)
    }

    /// A new folder `runs/NAME-N` with the lowest number that is free.
    pub(crate) fn fresh(name: &str) -> Result<Self> {
        let runs = Path::new(RUNS);
        fs::create_dir_all(runs).with_context(|| cannot_make(runs))?;
        for number in 1..100_000u32 {
            let path = runs.join(format!("{}-{number}", plain(name)));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunFolder { path, made: true }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| cannot_make(&path)),
            }
        }
        Err(anyhow!("{RUNS}: full of runs of {name}; choose another folder with --out"))
    }

    /// Finds out before training whether results can be saved after it.
    fn check_writable(&self) -> Result<()> {
        let probe = self.path.join(format!(".{}.probe", std::process::id()));
        fs::write(&probe, "")
            .and_then(|()| fs::remove_file(&probe))
            .with_context(|| format!("{}: cannot write to the folder", self.path.display()))
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
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = RunFolder::at(&file.join("out")).unwrap_err().to_string();
        assert!(error.contains("file/out") && error.contains("--out"), "{error}");
    }
}
