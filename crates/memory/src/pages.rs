//! Zeroed host memory: small blocks from the global allocator, large ones as pages of the system.
//!
//! An allocator that must align writes zeros over the whole block, and then all of it is resident.
//! Pages of the system become resident when they are first touched, so that what a size class has
//! beyond the content costs nothing. Where the system has huge pages it is asked for them: kernels
//! that walk down columns of large matrices would miss the translation cache at every row.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Alignment of every block: a cache line, and the widest SIMD register.
pub(crate) const ALIGNMENT: usize = 64;

/// Blocks from this size on are pages.
const LARGE: usize = 1 << 20;

fn is_large(bytes: usize) -> bool {
    cfg!(all(unix, not(miri))) && bytes >= LARGE
}

/// The layout of a small block; zero bytes are rounded up, as the allocator refuses them.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()
}

/// A block of zeros, if there is one.
pub(crate) fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    if is_large(bytes) {
        return system::map(bytes);
    }
    // SAFETY: the layout has a size of at least one byte.
    NonNull::new(unsafe { alloc_zeroed(layout(bytes)?) })
}

/// Gives a block back.
///
/// # Safety
/// The block is from [`allocate`] with as many bytes, and is not used any more.
pub(crate) unsafe fn free(block: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller vouches for the block.
    unsafe {
        if is_large(bytes) {
            system::unmap(block, bytes);
        } else if let Some(layout) = layout(bytes) {
            dealloc(block.as_ptr(), layout);
        }
    }
}

#[cfg(unix)]
mod system {
    use std::ptr::{NonNull, null_mut};

    /// Huge pages lie at multiples of their size, so a block that has some begins at one.
    const HUGE: usize = 1 << 21;

    /// Private zero pages. A block that huge pages fit into begins at a multiple of their size.
    pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
        let length = bytes.checked_next_multiple_of(page())?;
        let slack = if bytes >= HUGE { HUGE } else { 0 };
        let total = length.checked_add(slack)?;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: a new mapping at any address touches nothing that is there.
        let start = unsafe { libc::mmap(null_mut(), total, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = start.cast::<u8>();
        let before = start.align_offset(slack.max(1));
        let block = start.wrapping_add(before);
        // SAFETY: both cuts lie within the new mapping, outside of the block.
        unsafe {
            cut(start, before);
            cut(block.add(length), slack.saturating_sub(before));
        }
        advise(block, bytes);
        NonNull::new(block)
    }

    /// Unmaps `bytes`, a multiple of the page size.
    unsafe fn cut(start: *mut u8, bytes: usize) {
        if bytes > 0 {
            // SAFETY: the caller vouches for the range. The call fails only for want of memory for
            // the system's own tables; then the range stays mapped, which does no harm.
            unsafe { libc::munmap(start.cast(), bytes) };
        }
    }

    fn page() -> usize {
        // SAFETY: the call reads a constant of the system.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    }

    #[cfg(target_os = "linux")]
    fn advise(block: *mut u8, bytes: usize) {
        if bytes >= HUGE {
            // SAFETY: the range is mapped. Advice that the system cannot follow changes nothing.
            unsafe { libc::madvise(block.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn advise(_: *mut u8, _: usize) {}

    pub(super) unsafe fn unmap(block: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller vouches for the block, which is one mapping.
        unsafe { libc::munmap(block.as_ptr().cast(), bytes) };
    }
}

#[cfg(not(unix))]
mod system {
    use std::ptr::NonNull;

    pub(super) fn map(_: usize) -> Option<NonNull<u8>> {
        None
    }

    pub(super) unsafe fn unmap(_: NonNull<u8>, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_sizes_are_zeroed_and_aligned() {
        for bytes in [0, 1, 4097, LARGE - 1, LARGE, LARGE + 5, 3 << 20, (5 << 20) + 123] {
            let block = allocate(bytes).expect("there is memory");
            assert_eq!(block.as_ptr().align_offset(ALIGNMENT), 0, "{bytes} bytes");
            // SAFETY: the block is that large, and is freed once.
            unsafe {
                let all = std::slice::from_raw_parts_mut(block.as_ptr(), bytes);
                assert!(all.iter().all(|&byte| byte == 0), "{bytes} bytes");
                all.fill(7);
                free(block, bytes);
            }
        }
    }

    #[test]
    fn more_than_there_is_gives_none() {
        assert!(allocate(usize::MAX).is_none());
        assert!(allocate(1 << 60).is_none());
    }
}
