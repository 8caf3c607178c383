//! Files that are there as a whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TrainerError;
use crate::disk;

/// Writes a file so that a reader, or a crash at any moment, finds the old content or the new one,
/// never a part: the content goes to a temporary name in the same folder, reaches the disk, and is
/// renamed. Folders on the way are made. A link is followed; a device or a pipe, which is no file to be
/// replaced, is written to as it is.
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
    let target = match path.is_symlink() {
        true => fs::canonicalize(path).map_err(TrainerError::file(path, "follow the link"))?,
        false => path.to_path_buf(),
    };
    let path = target.as_path();
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let opened = fs::OpenOptions::new().write(true).open(path);
        let written = opened.and_then(|mut file| write(&mut file).and_then(|()| file.flush()));
        return written.map_err(TrainerError::file(path, "write to the device"));
    }
    let folder = folder_of(path);
    fs::create_dir_all(&folder).map_err(TrainerError::file(&folder, "make the folder"))?;
    let temporary = temporary(path);
    let written = disk::write_synced(&temporary, write)
        .map_err(TrainerError::file(path, "write the file"))
        .and_then(|()| {
            disk::rename(&temporary, path).map_err(TrainerError::file(path, "replace the file"))
        });
    if written.is_err() {
        // The first error says more than one about the clean-up could.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    disk::sync_folder(&folder).map_err(TrainerError::file(path, "sync the folder of the file"))
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// A hidden name beside `path` that nothing else uses while this process lives.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    hidden(path, &format!("{}-{count}.tmp", std::process::id()))
}

/// The name beside `path` that is hidden and ends in `.end`.
pub(crate) fn hidden(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(end);
    path.with_file_name(name)
}

/// The name of what a temporary file or folder of this name was to become: `last` for
/// `.last.4711-0.tmp`. None for all other names.
pub(crate) fn purpose(name: &OsStr) -> Option<&OsStr> {
    let inner = name.as_encoded_bytes().strip_suffix(b".tmp")?;
    let dot = inner.iter().rposition(|&byte| byte == b'.')?;
    let number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let (_, end) = name.as_encoded_bytes().split_at_checked(dot)?;
    let process = inner.get(dot + 1..)?;
    process.split(|&byte| byte == b'-').all(number).then(|| unhidden(name, end)).flatten()
}

/// The name that a hidden one with this end was made from.
pub(crate) fn unhidden<'a>(name: &'a OsStr, end: &[u8]) -> Option<&'a OsStr> {
    let inner = name.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(end)?;
    let inner = Some(inner).filter(|inner| !inner.is_empty())?;
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStrExt::from_bytes(inner));
    #[cfg(not(unix))]
    std::str::from_utf8(inner).ok().map(OsStr::new)
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
    fn temporary_names_are_known_again() {
        let path = temporary(Path::new("runs/last"));
        assert_eq!(path.parent(), Some(Path::new("runs")));
        assert_eq!(purpose(path.file_name().unwrap()), Some(OsStr::new("last")));
        assert_ne!(path, temporary(Path::new("runs/last")));
        let known = |name: &str| purpose(OsStr::new(name)).map(|name| name.to_owned());
        assert_eq!(known(".metrics.csv.12.tmp").unwrap(), "metrics.csv");
        for other in [".last.tmp", ".last.1x.tmp", ".12.tmp", "last.12.tmp", ".last.12", ".a..tmp"]
        {
            assert_eq!(known(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_are_no_files_to_replace() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        write_atomically(&link, |file| file.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");

        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write_atomically(&pipe, |file| file.write_all(b"through")).unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_path_without_a_folder_lies_here() {
        assert_eq!(folder_of(Path::new("x.csv")), Path::new("."));
    }
}
