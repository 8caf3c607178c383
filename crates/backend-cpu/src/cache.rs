//! The size of caches.

#[cfg(test)]
thread_local! {
    /// By what power of two the caches are smaller for which kernels are lowered on this thread.
    pub(crate) static SMALLER: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// So many elements of a cache, by which kernels cut their work. The tests of kernels have smaller
/// caches, so that small operands are cut too.
#[inline]
pub(crate) fn cached(elements: usize) -> usize {
    #[cfg(test)]
    let elements = elements >> SMALLER.get();
    elements
}
