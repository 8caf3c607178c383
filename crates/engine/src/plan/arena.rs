//! Offsets in the arena: buffers that do not live at the same time share memory.

use super::storage::Storage;
use crate::counters::count_work;

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
    let mut placed = Placed::default();
    let mut size = 0;
    for &storage in &by_size {
        let Storage { bytes, first, last, .. } = storages[storage];
        let wanted = bytes.next_multiple_of(ALIGNMENT);
        let start = placed.lowest_gap(wanted, (first, last));
        placed.insert(Stretch { start, end: start + wanted, first, last });
        offsets[storage] = start;
        size = size.max(start + wanted);
    }
    (offsets, size)
}

/// A part of the arena that is taken for a time.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    first: usize,
    last: usize,
}

/// A block is split when it has more stretches than this.
const BLOCK: usize = 128;

/// What is taken, by start and then by time, in blocks that can be passed as one.
#[derive(Debug, Default)]
struct Placed {
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    stretches: Vec<Stretch>,
    end: usize,
    /// No gap between stretches is larger.
    gap: usize,
    /// The smallest and the largest `first` and `last`.
    first: (usize, usize),
    last: (usize, usize),
}

impl Placed {
    /// The lowest start of a gap that is free for a time.
    fn lowest_gap(&self, wanted: usize, (first, last): (usize, usize)) -> usize {
        let mut start = 0;
        count_work(self.blocks.len());
        for block in &self.blocks {
            if block.first.0 > last || block.last.1 < first {
                continue;
            }
            let all_overlap = block.first.1 <= last && first <= block.last.0;
            if all_overlap && start + wanted > block.stretches[0].start && block.gap < wanted {
                start = start.max(block.end);
                continue;
            }
            count_work(block.stretches.len());
            for stretch in block.stretches.iter().filter(|s| s.first <= last && first <= s.last) {
                if start + wanted <= stretch.start {
                    return start;
                }
                start = start.max(stretch.end);
            }
        }
        start
    }

    fn insert(&mut self, stretch: Stretch) {
        let key = |s: &Stretch| (s.start, s.first);
        let behind = self.blocks.partition_point(|b| key(&b.stretches[0]) <= key(&stretch));
        let Some(block) = self.blocks.get_mut(behind.saturating_sub(1)) else {
            self.blocks.push(Block::new(vec![stretch]));
            return;
        };
        let place = block.stretches.partition_point(|s| key(s) <= key(&stretch));
        block.stretches.insert(place, stretch);
        let rest = match block.stretches.len() {
            0..=BLOCK => None,
            length => Some(block.stretches.split_off(length / 2)),
        };
        *block = Block::new(std::mem::take(&mut block.stretches));
        if let Some(rest) = rest {
            self.blocks.insert(behind.max(1), Block::new(rest));
        }
    }
}

impl Block {
    /// A block of at least one stretch.
    fn new(stretches: Vec<Stretch>) -> Self {
        let (mut end, mut gap) = (stretches[0].end, 0);
        let (mut first, mut last) = ((usize::MAX, 0), (usize::MAX, 0));
        for stretch in &stretches {
            gap = gap.max(stretch.start.saturating_sub(end));
            end = end.max(stretch.end);
            first = (first.0.min(stretch.first), first.1.max(stretch.first));
            last = (last.0.min(stretch.last), last.1.max(stretch.last));
        }
        Block { stretches, end, gap, first, last }
    }
}

#[cfg(test)]
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

    /// Each storage at the lowest offset where nothing that was placed before is in its way.
    fn plain_layout(storages: &[Storage]) -> Vec<usize> {
        let mut by_size: Vec<usize> = (0..storages.len()).collect();
        by_size.sort_by_key(|&s| (std::cmp::Reverse(storages[s].bytes), storages[s].first, s));
        let mut offsets = vec![0; storages.len()];
        for (count, &storage) in by_size.iter().enumerate() {
            let size = |s: usize| storages[s].bytes.next_multiple_of(ALIGNMENT);
            let in_time = |&&o: &&usize| overlap_in_time(&storages[o], &storages[storage]);
            let busy: Vec<usize> = by_size[..count].iter().filter(in_time).copied().collect();
            let mut starts: Vec<usize> = busy.iter().map(|&o| offsets[o] + size(o)).collect();
            starts.push(0);
            starts.sort_unstable();
            let is_free = |&start: &usize| {
                let clear = |&o: &usize| {
                    start + size(storage) <= offsets[o] || offsets[o] + size(o) <= start
                };
                busy.iter().all(clear)
            };
            offsets[storage] = starts.into_iter().find(is_free).unwrap();
        }
        offsets
    }

    #[test]
    fn blocks_change_no_offset() {
        let mut seed = 5u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((seed >> 33) % n) as usize
        };
        // Short and long lives, nested ones as those of activations, sizes that repeat.
        for sizes in [1, 3, 5000] {
            let storages: Vec<Storage> = (0..900)
                .map(|i| match next(3) {
                    0 => storage(64 * (1 + next(sizes)), i, 1800 - i),
                    1 => storage(64 * (1 + next(sizes)), i, i + next(4)),
                    _ => storage(1 + next(64 * sizes), next(1800), 1800),
                })
                .map(|s| Storage { last: s.last.max(s.first), ..s })
                .collect();
            assert_eq!(layout(&storages).0, plain_layout(&storages));
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
