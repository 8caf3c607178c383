//! What killed processes leave behind.

use std::fs;
use std::path::Path;

use super::files::io_error;
use super::folder::{entries, retire_leftover, set_aside, settle};
use crate::TrainerError;
use crate::atomic_file::purpose;
use crate::disk;

/// Removes what processes that were killed have left in the folder of a run: temporary files of
/// [`write_atomically`](crate::write_atomically), and checkpoints under way. What somebody else has
/// put into such a checkpoint moves to the one that took its place.
///
/// Nobody may be writing there meanwhile: take a [`FolderLock`](crate::FolderLock) first.
///
/// # Errors
/// [`TrainerError::File`] for the first of them that cannot be removed; the others are gone.
pub fn remove_leftovers(folder: &Path) -> Result<(), TrainerError> {
    let mut result = Ok(());
    let mut all = entries(folder)?;
    // First what may have to become a checkpoint again: the others' foreign files move there.
    all.sort_by_key(|(name, _)| set_aside(name).is_none());
    for (name, path) in all {
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        let done = match (set_aside(&name), purpose(&name)) {
            (Some(wanted), _) if is_folder => settle(&folder.join(wanted)),
            (_, Some(wanted)) if is_folder => retire_leftover(&path, &folder.join(wanted)),
            (_, Some(_)) => disk::remove_file(&path).map_err(|e| io_error(&path, "remove it", e)),
            _ => Ok(()),
        };
        result = result.and(done);
    }
    result
}
