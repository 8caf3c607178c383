//! Folders that are replaced as a whole.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{FILES, PROGRESS, io_error, previous};
use super::opened::is_checkpoint;
use crate::TrainerError;
use crate::atomic_file::{folder_of, temporary, unhidden};
use crate::disk;

/// A checkpoint that is being written beside the place it will take.
pub(super) struct Replacement {
    folder: PathBuf,
    temporary: PathBuf,
    complete: bool,
}

impl Replacement {
    /// Makes the hidden folder.
    pub(super) fn begin(folder: &Path) -> Result<Self, TrainerError> {
        check_place(folder)?;
        // A link to a folder stays a link: the checkpoint is where it leads to.
        let folder = match folder.is_symlink() {
            true => fs::canonicalize(folder).map_err(TrainerError::file(folder, "follow the link")),
            false => Ok(folder.to_path_buf()),
        }?;
        let parent = folder_of(&folder);
        fs::create_dir_all(&parent).map_err(|e| io_error(&parent, "make the folder", e))?;
        loop {
            let temporary = temporary(&folder);
            match disk::create_dir(&temporary) {
                Ok(()) => return Ok(Replacement { folder, temporary, complete: false }),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error(&folder, "make the folder", error)),
            }
        }
    }

    /// Writes one file, to the disk.
    pub(super) fn file(&self, name: &str, content: &[u8]) -> Result<(), TrainerError> {
        disk::write_synced(&self.temporary.join(name), |file| file.write_all(content))
            .map_err(|e| io_error(&self.folder.join(name), "write the file", e))
    }

    /// Puts the folder in its place. From here on the new checkpoint is what counts, so a failed
    /// clean-up is no failure.
    pub(super) fn complete(mut self) -> Result<(), TrainerError> {
        let synced = |folder: &Path| {
            disk::sync_folder(folder).map_err(|e| io_error(&self.folder, "sync the folder", e))
        };
        synced(&self.temporary)?;
        let replaced = self.place()?;
        self.complete = true;
        synced(&folder_of(&self.folder))?;
        if let Some(replaced) = replaced
            && let Err(error) = retire(&replaced, &self.folder)
        {
            log::warn!("the checkpoint before could not be removed: {error}");
        }
        Ok(())
    }

    /// Tells where the checkpoint before is now.
    fn place(&self) -> Result<Option<PathBuf>, TrainerError> {
        let failed = |e| io_error(&self.folder, "replace the folder", e);
        if !self.folder.exists() {
            disk::rename(&self.temporary, &self.folder).map_err(failed)?;
            return Ok(None);
        }
        if disk::exchange(&self.temporary, &self.folder).map_err(failed)? {
            return Ok(Some(self.temporary.clone()));
        }
        self.place_by_renames().map(Some)
    }

    /// Where two folders cannot be swapped, the one before is set aside under a name by which
    /// readers find it, also after a crash between the two renames.
    fn place_by_renames(&self) -> Result<PathBuf, TrainerError> {
        let mut aside = previous(&self.folder);
        if aside.symlink_metadata().is_ok()
            && let Err(error) = retire(&aside, &self.folder)
        {
            log::warn!("{error}");
            aside = temporary(&self.folder);
        }
        disk::rename(&self.folder, &aside)
            .map_err(|e| io_error(&self.folder, "set the checkpoint before aside", e))?;
        if let Err(error) = disk::rename(&self.temporary, &self.folder) {
            // The error below says what happened; this only makes it less bad.
            let _ = fs::rename(&aside, &self.folder);
            return Err(io_error(&self.folder, "replace the folder", error));
        }
        Ok(aside)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.complete {
            // What is left half written is of no use, and the error is on its way already.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// The name of the folder that one of this name was set aside for.
pub(super) fn set_aside(name: &OsStr) -> Option<&OsStr> {
    unhidden(name, b".previous")
}

/// Removes a checkpoint that another has taken the place of. What somebody else has put into it
/// moves to `heir`, so that nothing is lost.
pub(super) fn retire(old: &Path, heir: &Path) -> Result<(), TrainerError> {
    let mut kept = None;
    for (name, path) in entries(old)? {
        let target = heir.join(&name);
        let taken = target.symlink_metadata().is_ok();
        let moved = if is_ours(&name) && !path.is_dir() || is_litter(&name) && taken {
            disk::remove_file(&path)
        } else if taken {
            kept = Some(path);
            continue;
        } else {
            disk::rename(&path, &target)
        };
        moved.map_err(|e| io_error(&path, "clear the folder", e))?;
    }
    match kept {
        Some(path) => {
            let there = heir.display();
            let reason = format!("it stays, since {there} has something else of its name");
            Err(TrainerError::checkpoint(&path, reason))
        }
        None => disk::remove_dir(old).map_err(|e| io_error(old, "clear the folder", e)),
    }
}

/// Brings a folder into order after a process was killed while it wrote a checkpoint there.
pub(super) fn settle(folder: &Path) -> Result<(), TrainerError> {
    let previous = previous(folder);
    if folder.join(PROGRESS).exists() {
        retire_leftover(&previous, folder)
    } else if previous.join(PROGRESS).exists() && !folder.exists() {
        disk::rename(&previous, folder)
            .map_err(|e| io_error(folder, "bring back the checkpoint before", e))
    } else {
        Ok(())
    }
}

/// Removes a checkpoint that a killed process was writing, or was about to remove.
pub(super) fn retire_leftover(old: &Path, heir: &Path) -> Result<(), TrainerError> {
    // What is complete may have been in use, and hold what somebody has put into it.
    match old.join(PROGRESS).exists() && heir.join(PROGRESS).exists() {
        true => retire(old, heir),
        false => remove(old),
    }
}

/// Removes the checkpoint in a folder, and the folder. What is not part of a checkpoint is a reason
/// to leave it all.
pub(super) fn remove(folder: &Path) -> Result<(), TrainerError> {
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let before = Some(previous(folder)).filter(|before| there(&before.join(PROGRESS)));
    let all: Vec<PathBuf> =
        before.into_iter().chain(Some(folder.to_path_buf()).filter(there)).collect();
    all.iter().try_for_each(|folder| refuse_foreign(folder))?;
    for folder in &all {
        let mut files = entries(folder)?;
        // The record first: without it nothing takes the rest for a checkpoint.
        files.sort_by_key(|(name, _)| name != PROGRESS);
        for (_, path) in files {
            disk::remove_file(&path).map_err(|e| io_error(&path, "remove the file", e))?;
        }
        disk::remove_dir(folder).map_err(|e| io_error(folder, "remove the folder", e))?;
    }
    Ok(())
}

/// Whether checkpoints can be written to a folder: one with a checkpoint, or with nothing that
/// would end up in the middle of one.
pub(crate) fn check_place(folder: &Path) -> Result<(), TrainerError> {
    match folder.exists() && !is_checkpoint(folder) {
        true => refuse_foreign(folder),
        false => Ok(()),
    }
}

fn refuse_foreign(folder: &Path) -> Result<(), TrainerError> {
    match entries(folder)?.iter().find(|(name, _)| !is_ours(name) && !is_litter(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let name = name.to_string_lossy();
            let reason = format!(
                "it holds `{name}`, which is not part of a checkpoint; move that away or choose \
                 another folder"
            );
            Err(TrainerError::checkpoint(folder, reason))
        }
    }
}

pub(super) type Entries = Vec<(std::ffi::OsString, PathBuf)>;

pub(super) fn entries(folder: &Path) -> Result<Entries, TrainerError> {
    let failed = |e| io_error(folder, "read the folder", e);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let named = entries.map(|entry| entry.map(|entry| (entry.file_name(), entry.path())));
    named.collect::<io::Result<_>>().map_err(failed)
}

fn is_ours(name: &OsStr) -> bool {
    name == PROGRESS || FILES.iter().any(|own| name == *own)
}

/// What file managers leave wherever somebody has looked.
fn is_litter(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"._") || [&b".DS_Store"[..], b"Thumbs.db", b"desktop.ini"].contains(&name)
}
