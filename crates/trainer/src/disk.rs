//! The calls that change the disk.
//!
//! In debug builds the environment variable `ONESTEP_TEST_DISK` makes them go wrong, so that tests
//! see what a full disk or a crash leaves behind. It is a list of `fail:N`, with which the N-th call
//! fails; `kill:N`, with which the process ends there; `trace`, which lists the calls on standard
//! error; and `no-exchange`, for a system that cannot swap two folders.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes a file and waits until it has reached the disk.
pub(crate) fn write_synced(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    fault::point("create", path)?;
    let mut writer = BufWriter::new(File::create(path)?);
    write(&mut writer)?;
    // What is buffered is lost here, as in a write that is cut short.
    fault::point("write", path)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    fault::point("sync", path)?;
    file.sync_all()
}

/// Makes a folder that is not there.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    fault::point("make", path)?;
    fs::create_dir(path)
}

/// Gives a file or folder another name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault::point("rename", to)?;
    fs::rename(from, to)
}

/// Removes a file, or a link but not what it leads to.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    fault::point("remove", path)?;
    fs::remove_file(path)
}

/// Removes an empty folder.
pub(crate) fn remove_dir(path: &Path) -> io::Result<()> {
    fault::point("remove", path)?;
    fs::remove_dir(path)
}

/// Swaps a file or folder with another in one step, so that there is no moment without either.
/// Tells whether that was done: not every system and file system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    fault::point("exchange", other)?;
    if fault::no_exchange() {
        return Ok(false);
    }
    swap(one, other)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn swap(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn swap(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Waits until renames in a folder have reached the disk. Only Unix opens a folder as a file;
/// elsewhere its entries are synced with the files.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fault::point("sync", folder)?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

#[cfg(debug_assertions)]
mod fault {
    use std::io::{self, Write};
    use std::path::Path;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Faults {
        fail: Option<u64>,
        kill: Option<u64>,
        trace: bool,
        no_exchange: bool,
    }

    static FAULTS: LazyLock<Faults> = LazyLock::new(|| {
        let mut faults = Faults::default();
        for fault in std::env::var("ONESTEP_TEST_DISK").unwrap_or_default().split(',') {
            match fault.split_once(':').unwrap_or((fault, "")) {
                ("fail", call) => faults.fail = call.parse().ok(),
                ("kill", call) => faults.kill = call.parse().ok(),
                ("trace", _) => faults.trace = true,
                ("no-exchange", _) => faults.no_exchange = true,
                _ => {}
            }
        }
        faults
    });

    static CALLS: AtomicU64 = AtomicU64::new(0);

    /// A call that is about to be made.
    pub(super) fn point(action: &str, path: &Path) -> io::Result<()> {
        let call = CALLS.fetch_add(1, Ordering::SeqCst) + 1;
        if FAULTS.trace {
            writeln!(io::stderr(), "disk {call} {action} {}", path.display())?;
        }
        if FAULTS.kill == Some(call) {
            // Nothing is cleaned up on this way out.
            std::process::exit(137);
        }
        match FAULTS.fail == Some(call) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    pub(super) fn no_exchange() -> bool {
        FAULTS.no_exchange
    }
}

#[cfg(not(debug_assertions))]
mod fault {
    pub(super) fn point(_: &str, _: &std::path::Path) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn no_exchange() -> bool {
        false
    }
}
