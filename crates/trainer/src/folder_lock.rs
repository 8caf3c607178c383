//! One writer to a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::TrainerError;

/// The right to write to the folder of a run: one process has it at a time, and it ends with the
/// value, or with the process, however that ends. It is a lock on the file `.lock` in the folder,
/// which is removed at the end.
///
/// ```
/// use onestep_trainer::FolderLock;
/// # let run = tempfile::tempdir().unwrap();
/// let lock = FolderLock::take(run.path())?;
/// assert!(FolderLock::take(run.path()).is_err());
/// drop(lock);
/// assert!(FolderLock::take(run.path()).is_ok());
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    path: PathBuf,
    file: File,
}

impl FolderLock {
    /// Takes the lock of a folder. Where the file system has no locks, this is said in the log, and
    /// nothing is locked.
    ///
    /// # Errors
    /// [`TrainerError::Locked`] where somebody else has it, [`TrainerError::File`] where the folder
    /// is not there or cannot be written.
    pub fn take(folder: &Path) -> Result<Self, TrainerError> {
        let path = folder.join(".lock");
        loop {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = file.map_err(TrainerError::file(&path, "make the file"))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let process = fs::read_to_string(&path).ok();
                    let process = process.and_then(|text| text.trim().parse().ok());
                    return Err(TrainerError::Locked { path: folder.to_path_buf(), process });
                }
                Err(TryLockError::Error(error)) => {
                    log::warn!("{}: not locked against other runs: {error}", folder.display());
                }
            }
            // Where its owner has removed it since it was opened, it locks nothing any more.
            if is_in_place(&file, &path) {
                // Only said to people.
                let _ = file.set_len(0);
                let _ = write!(file, "{}", std::process::id());
                return Ok(FolderLock { path, file });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Still locked: whoever has opened the file meanwhile finds out that it has gone.
        if is_in_place(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn is_in_place(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(own), Ok(there)) => identity(own) == identity(there),
        _ => false,
    }
}

/// Open files stay in their place here.
#[cfg(not(unix))]
fn is_in_place(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        assert!(error.contains(&process) && error.contains("another run"), "{error}");
        drop(lock);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // A process that was killed leaves the file, but no lock on it.
        fs::write(folder.path().join(".lock"), "4711").unwrap();
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn two_never_have_it_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 200 {
                        let Ok(lock) = FolderLock::take(folder.path()) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
