//! How much memory the machine has to give.

/// Bytes that this process could take without others having to give some up: on Linux what the
/// system calls available, or less where a control group limits the process (a container, a batch
/// system); on macOS the whole memory, most of which it frees when asked. `None` where the system does
/// not tell.
///
/// ```
/// if let Some(bytes) = onestep_memory::available_memory() {
///     println!("{} to take", onestep_memory::format_bytes(bytes));
/// }
/// ```
pub fn available_memory() -> Option<usize> {
    system::available()
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::read_to_string;
    use std::path::{Path, PathBuf};

    pub(super) fn available() -> Option<usize> {
        let information = read_to_string("/proc/meminfo").ok();
        let machine = information.and_then(|text| number_behind(&text, "MemAvailable:"));
        let machine = machine.and_then(|kilobytes| kilobytes.checked_mul(1024));
        let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
        let rooms = control_groups(&groups, Path::new("/sys/fs/cgroup"));
        machine.into_iter().chain(rooms.iter().filter_map(|folder| room(folder))).min()
    }

    /// The number behind a key at the beginning of a line.
    pub(super) fn number_behind(text: &str, key: &str) -> Option<usize> {
        let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    /// The folders of the process's control groups for memory, with all above them: a limit holds
    /// for everything below it. A container sees its own group as the topmost.
    pub(super) fn control_groups(groups: &str, top: &Path) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else { continue };
            let top = match kinds.split(',').any(|kind| kind == "memory") {
                true => top.join("memory"),
                false if kinds.is_empty() => top.to_path_buf(),
                false => continue,
            };
            let own = top.join(path.trim_start_matches('/'));
            let above = own.ancestors().take_while(|folder| folder.starts_with(&top));
            folders.extend(above.map(Path::to_path_buf));
        }
        folders
    }

    /// What a control group may still take. Its cached files do not count: they give way.
    pub(super) fn room(folder: &Path) -> Option<usize> {
        let read = |file: &str| read_to_string(folder.join(file)).ok();
        // The second version's names, then the first's. No limit is `max`, which is no number.
        let limit = read("memory.max").or_else(|| read("memory.limit_in_bytes"))?;
        let limit: usize = limit.trim().parse().ok()?;
        let usage = read("memory.stat").unwrap_or_default();
        let used = number_behind(&usage, "anon ").or_else(|| number_behind(&usage, "total_rss "));
        Some(limit.saturating_sub(used.unwrap_or(0)))
    }
}

#[cfg(target_os = "macos")]
mod system {
    pub(super) fn available() -> Option<usize> {
        let mut bytes = 0u64;
        let mut size = size_of::<u64>();
        // SAFETY: the name ends with a zero, and the system writes at most `size` bytes to `bytes`.
        let failed = unsafe {
            libc::sysctlbyname(
                c"hw.memsize".as_ptr(),
                (&raw mut bytes).cast(),
                &raw mut size,
                std::ptr::null_mut(),
                0,
            )
        };
        (failed == 0).then(|| usize::try_from(bytes).ok()).flatten()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod system {
    pub(super) fn available() -> Option<usize> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use std::path::{Path, PathBuf};

    use super::system::{control_groups, number_behind, room};
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let bytes = available_memory().unwrap();
        assert!((1 << 20..1 << 50).contains(&bytes), "{bytes}");
    }

    #[test]
    fn numbers_are_found_by_their_key() {
        let text = "MemTotal:  16 kB\nMemAvailable:    12 kB\n";
        assert_eq!(number_behind(text, "MemAvailable:"), Some(12));
        assert_eq!(number_behind(text, "Swap:"), None);
        assert_eq!(number_behind("MemAvailable: many\n", "MemAvailable:"), None);
    }

    #[test]
    fn groups_of_both_versions_are_followed_to_the_top() {
        let folders = |text| control_groups(text, Path::new("/top"));
        let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(folders("0::/a/b\n"), paths(&["/top/a/b", "/top/a", "/top"]));
        let both = "3:cpu,memory:/x\n2:pids:/y\n";
        assert_eq!(folders(both), paths(&["/top/memory/x", "/top/memory"]));
        assert_eq!(folders("nonsense\n0::/\n"), paths(&["/top/", "/"][..1]));
    }

    #[test]
    fn a_limit_counts_less_what_is_taken() {
        let folder = std::env::temp_dir().join(format!("onestep-group-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
        assert_eq!(room(&folder), None);
        write("memory.max", "1000\n");
        assert_eq!(room(&folder), Some(1000));
        write("memory.stat", "file 500\nanon 300\n");
        assert_eq!(room(&folder), Some(700));
        write("memory.max", "max\n");
        assert_eq!(room(&folder), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
