//! Offsets in the arena: buffers that do not live at the same time share memory.

use super::storage::Storage;

/// Buffers begin at multiples of this many bytes: a cache line, and any SIMD vector.
pub(super) const ALIGNMENT: usize = 64;

/// The offset of each storage of the arena and the arena's size, largest storage first, each at
/// the lowest offset that is free while it lives (Pisarchyk and Lee, "Efficient memory management
/// for deep neural net inference", 2020, greedy by size).
pub(super) fn layout(storages: &[Storage]) -> (Vec<usize>, usize) {
    let mut by_size: Vec<usize> = (0..storages.len())
        .filter(|&s| storages[s].state.is_none() && storages[s].bytes > 0)
        .collect();
    by_size.sort_by_key(|&s| (std::cmp::Reverse(storages[s].bytes), storages[s].first, s));
    let mut offsets = vec![0; storages.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut size = 0;
    for &storage in &by_size {
        let wanted = storages[storage].bytes.next_multiple_of(ALIGNMENT);
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| overlap_in_time(&storages[other], &storages[storage]))
            .map(|&o| (offsets[o], offsets[o] + storages[o].bytes.next_multiple_of(ALIGNMENT)))
            .collect();
        busy.sort_unstable();
        let mut start = 0;
        for (from, to) in busy {
            if start + wanted <= from {
                break;
            }
            start = start.max(to);
        }
        offsets[storage] = start;
        size = size.max(start + wanted);
        placed.push(storage);
    }
    (offsets, size)
}

fn overlap_in_time(a: &Storage, b: &Storage) -> bool {
    a.first <= b.last && b.first <= a.last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(bytes: usize, first: usize, last: usize) -> Storage {
        Storage { state: None, bytes, first, last, pinned: false }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Storage> = (0..10).map(|i| storage(1024, i, i + 1)).collect();
        let (offsets, size) = layout(&chain);
        assert_eq!(size, 2048);
        for pair in offsets.windows(2) {
            assert_ne!(pair[0], pair[1], "neighbours live at the same time");
        }
    }

    #[test]
    fn buffers_that_live_together_do_not_overlap() {
        // A fixed pseudo-random set: sizes and lives from a linear congruence.
        let mut seed = 1u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((seed >> 33) % n) as usize
        };
        let storages: Vec<Storage> = (0..200)
            .map(|_| {
                let first = next(100);
                storage(next(5000) + 1, first, first + next(30))
            })
            .collect();
        let (offsets, size) = layout(&storages);
        for (i, a) in storages.iter().enumerate() {
            assert!(offsets[i] + a.bytes <= size && offsets[i].is_multiple_of(ALIGNMENT));
            for (j, b) in storages.iter().enumerate().skip(i + 1) {
                let apart =
                    offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                assert!(apart || !overlap_in_time(a, b), "{i} and {j}");
            }
        }
        let lower_bound = (0..130)
            .map(|t| storages.iter().filter(|s| s.first <= t && t <= s.last).map(|s| s.bytes).sum())
            .max()
            .unwrap_or(0);
        assert!(size < lower_bound * 3 / 2, "{size} against {lower_bound}");
    }
}
