//! A checkpoint's folder, open for reading while others may replace it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::{FILES, PROGRESS, io_error, previous};
use crate::TrainerError;

/// How often reading starts again because the folder was replaced meanwhile. Each time a writer has
/// written a whole checkpoint, so once is nearly always enough.
const ATTEMPTS: usize = 100;

/// The files of a checkpoint, all open: whatever happens to the folder, they are of one checkpoint.
pub(super) struct Opened {
    /// The folder as the caller knows it.
    folder: PathBuf,
    files: BTreeMap<&'static str, File>,
}

impl Opened {
    /// Opens the checkpoint in `folder`, or the one before it where a crash came between the two.
    pub(super) fn at(folder: &Path) -> Result<Self, TrainerError> {
        let mut result = Self::attempt(folder);
        for _ in 1..ATTEMPTS {
            match result {
                Err((_, true)) => result = Self::attempt(folder),
                _ => break,
            }
        }
        result.map_err(|(error, _)| error)
    }

    /// Whether the error may be gone the next time comes with it.
    fn attempt(folder: &Path) -> Result<Self, (TrainerError, bool)> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let mut opened = Handle::files_of(folder);
        if opened.as_ref().is_err_and(|(error, _)| missing(error)) {
            let before = Handle::files_of(&previous(folder));
            if !before.as_ref().is_err_and(|(error, _)| missing(error)) {
                opened = before;
            }
        }
        opened.map(|files| Opened { folder: folder.to_path_buf(), files }).map_err(
            |(error, name)| {
                let again = missing(&error);
                (io_error(&folder.join(name), "read the file of a checkpoint", error), again)
            },
        )
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A file's path, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The content of a file of at most `limit` bytes.
    pub(super) fn read(&mut self, name: &'static str, limit: u64) -> Result<Vec<u8>, TrainerError> {
        let path = self.path(name);
        let action = "read the file of a checkpoint";
        let Some(file) = self.files.get_mut(name) else {
            return Err(io_error(&path, action, io::ErrorKind::NotFound.into()));
        };
        read_bounded(file, limit).map_err(|error| io_error(&path, action, error))
    }
}

/// The content of a file that must not be larger than `limit` bytes. Nothing is taken into memory
/// that is not there, and a size that there is no memory for is an error.
pub(crate) fn read_bounded(file: &mut File, limit: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let too_large = || {
        let text = format!("it is larger than the {limit} bytes that it can have");
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    if size > limit {
        return Err(too_large());
    }
    let mut content = Vec::new();
    let capacity = usize::try_from(size).map_err(|_| too_large())?;
    content.try_reserve_exact(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 > limit {
        true => Err(too_large()),
        false => Ok(content),
    }
}

/// Whether a checkpoint is in a folder, or was when a crash came.
pub(super) fn is_checkpoint(folder: &Path) -> bool {
    (0..ATTEMPTS).any(|_| {
        [folder.to_path_buf(), previous(folder)]
            .iter()
            .any(|path| fs::symlink_metadata(path.join(PROGRESS)).is_ok())
    })
}

/// A folder whose files are opened by their names within it, so that they are of one folder even
/// where another takes its place meanwhile.
struct Handle {
    #[cfg(unix)]
    folder: rustix::fd::OwnedFd,
    #[cfg(not(unix))]
    folder: PathBuf,
}

/// An error, and the name of the file that it is about; empty for the folder.
type NamedError = (io::Error, &'static str);

impl Handle {
    /// All files of a folder, which has been in its place all the while: then nobody has begun to
    /// remove them.
    fn files_of(path: &Path) -> Result<BTreeMap<&'static str, File>, NamedError> {
        let handle = Self::open(path)?;
        let files = handle.files()?;
        match handle.is_at(path) {
            true => Ok(files),
            false => Err((io::ErrorKind::NotFound.into(), PROGRESS)),
        }
    }

    /// The files that there are. The record must be among them.
    fn files(&self) -> Result<BTreeMap<&'static str, File>, NamedError> {
        let mut files = BTreeMap::new();
        for name in [PROGRESS].into_iter().chain(FILES) {
            match self.file(name) {
                Ok(file) => drop(files.insert(name, file)),
                Err(error) if name != PROGRESS && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((error, name)),
            }
        }
        Ok(files)
    }
}

fn not_plain() -> io::Error {
    let text = "it is not a plain file; a checkpoint has no links, folders or devices in it";
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(unix)]
impl Handle {
    fn open(folder: &Path) -> Result<Self, NamedError> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // What is not there is said of the record: that is what is looked for.
        let folder = open(folder, flags, Mode::empty())
            .map_err(|error| (io::Error::from(error), PROGRESS))?;
        Ok(Handle { folder })
    }

    fn is_at(&self, path: &Path) -> bool {
        use rustix::fs::{fstat, stat};
        match (fstat(&self.folder), stat(path)) {
            (Ok(own), Ok(there)) => (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino),
            _ => false,
        }
    }

    /// A plain file of the folder. Pipes, which would never end, and devices are not even opened.
    fn file(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
        let plain = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
        if !plain(statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
            return Err(not_plain());
        }
        // It may have become something else meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.folder, name, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(not_plain()),
        }
    }
}

#[cfg(not(unix))]
impl Handle {
    fn open(folder: &Path) -> Result<Self, NamedError> {
        Ok(Handle { folder: folder.to_path_buf() })
    }

    /// Open files keep a folder from being renamed here.
    fn is_at(&self, _: &Path) -> bool {
        true
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let path = self.folder.join(name);
        match fs::symlink_metadata(&path)?.is_file() {
            true => File::open(path),
            false => Err(not_plain()),
        }
    }
}
