//! Files that are there as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::TrainerError;

/// Writes a file so that a reader, or a crash at any moment, finds the old content or the new one,
/// never a part: the content goes to a temporary name in the same folder, reaches the disk, and is
/// renamed. Folders on the way are made.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes/run.txt");
/// onestep_trainer::write_atomically(&path, |file| file.write_all(b"loss 0.1\n"))?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "loss 0.1\n");
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
///
/// # Errors
/// [`TrainerError::File`] with the path and the system's reason: no permission, a full disk, or
/// what `write` returns. The old content is untouched and the temporary file is removed.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), TrainerError> {
    let folder = folder_of(path);
    fs::create_dir_all(&folder).map_err(TrainerError::file(&folder, "make the folder"))?;
    let temporary = sibling(path, "tmp");
    let written = write_synced(&temporary, write)
        .map_err(TrainerError::file(path, "write the file"))
        .and_then(|()| {
            fs::rename(&temporary, path).map_err(TrainerError::file(path, "replace the file"))
        });
    if written.is_err() {
        // The first error says more than one about the clean-up could.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_folder(&folder)
}

/// Writes a file and waits until it has reached the disk.
pub(crate) fn write_synced(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(File::create(path)?);
    write(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A hidden name beside `path` that this process alone uses.
pub(crate) fn sibling(path: &Path, purpose: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{purpose}", std::process::id()));
    path.with_file_name(name)
}

/// Waits until renames in a folder have reached the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> Result<(), TrainerError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(TrainerError::file(folder, "sync the folder"))
}

/// Elsewhere a folder cannot be opened as a file; its entries are synced with the files.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> Result<(), TrainerError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("metrics.csv") && text.contains("no storage space"), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["metrics.csv"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let blocker = folder.path().join("blocker");
        fs::write(&blocker, "a file").unwrap();
        let error = write_atomically(&blocker.join("out/x"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("blocker") && error.contains("make the folder"), "{error}");
    }

    #[test]
    fn a_path_without_a_folder_lies_here() {
        assert_eq!(folder_of(Path::new("x.csv")), Path::new("."));
    }
}
