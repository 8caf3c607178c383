//! Folders that are replaced as a whole.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{BEST, MODEL, PROGRESS, STATE, TRAINER, WEIGHTS, io};
use crate::TrainerError;
use crate::atomic_file::{folder_of, sibling, sync_folder, write_synced};

/// A checkpoint that is being written beside the place it will take.
pub(super) struct Replacement<'a> {
    folder: &'a Path,
    temporary: PathBuf,
    complete: bool,
}

impl<'a> Replacement<'a> {
    /// Makes the hidden folder.
    pub(super) fn begin(folder: &'a Path) -> Result<Self, TrainerError> {
        refuse_foreign(folder)?;
        let parent = folder_of(folder);
        fs::create_dir_all(&parent).map_err(|e| io(&parent, "make the folder", e))?;
        let temporary = sibling(folder, "tmp");
        if temporary.exists() {
            // Left by a process of the same number that was killed.
            fs::remove_dir_all(&temporary).map_err(|e| io(&temporary, "clear the folder", e))?;
        }
        fs::create_dir(&temporary).map_err(|e| io(folder, "make the folder", e))?;
        Ok(Replacement { folder, temporary, complete: false })
    }

    /// Writes one file, to the disk.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> Result<(), TrainerError> {
        write_synced(&self.temporary.join(name), |file| file.write_all(content))
            .map_err(|e| io(&self.folder.join(name), "write the file", e))
    }

    /// Puts the folder in its place. A crash between the two renames leaves the checkpoint before
    /// under its name for that, where [`existing`] finds it.
    pub(super) fn complete(mut self) -> Result<(), TrainerError> {
        sync_folder(&self.temporary)?;
        let previous = previous(self.folder);
        let replaces = self.folder.exists();
        if replaces {
            if previous.exists() {
                fs::remove_dir_all(&previous).map_err(|e| io(&previous, "clear the folder", e))?;
            }
            fs::rename(self.folder, &previous)
                .map_err(|e| io(self.folder, "set the checkpoint before aside", e))?;
        }
        if let Err(error) = fs::rename(&self.temporary, self.folder) {
            if replaces {
                // The error below says what happened; this only makes it less bad.
                let _ = fs::rename(&previous, self.folder);
            }
            return Err(io(self.folder, "replace the folder", error));
        }
        self.complete = true;
        sync_folder(&folder_of(self.folder))?;
        if previous.exists() {
            fs::remove_dir_all(&previous).map_err(|e| io(&previous, "clear the folder", e))?;
        }
        Ok(())
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.complete {
            // What is left half written is of no use, and the error is on its way already.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// Where a checkpoint stays while the next one takes its place.
fn previous(folder: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(".previous");
    folder.with_file_name(name)
}

/// The folder that a checkpoint is read from: `folder`, or the one before it where a crash came
/// between the two.
pub fn existing(folder: &Path) -> PathBuf {
    let previous = previous(folder);
    if !folder.join(PROGRESS).exists() && previous.join(PROGRESS).exists() {
        return previous;
    }
    folder.to_path_buf()
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
    let own = existing(folder);
    let candidates = names.iter().map(|name| existing(&folder.join(name)));
    let mut all = [own.clone()].into_iter().chain(candidates);
    all.find(|path| path.join(PROGRESS).exists()).unwrap_or(own)
}

/// A folder with files that are not ours is no place for a checkpoint: they would be lost.
fn refuse_foreign(folder: &Path) -> Result<(), TrainerError> {
    if !folder.exists() {
        return Ok(());
    }
    let ours = [WEIGHTS, STATE, BEST, MODEL, TRAINER, PROGRESS];
    for entry in fs::read_dir(folder).map_err(|e| io(folder, "read the folder", e))? {
        let name = entry.map_err(|e| io(folder, "read the folder", e))?.file_name();
        if !ours.iter().any(|own| *own == name) {
            let reason = format!(
                "it holds `{}`, which is not part of a checkpoint and would be lost; choose a \
                 folder of its own",
                name.to_string_lossy()
            );
            return Err(TrainerError::checkpoint(folder, reason));
        }
    }
    Ok(())
}
