//! Offsets in the arena: buffers that do not live at the same time share memory.

use std::ops::Range;

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
    let mut placed = Placed::new(by_size.iter().map(|&s| storages[s].last + 1).max().unwrap_or(0));
    let mut size = 0;
    for &storage in &by_size {
        let Storage { bytes, first, last, .. } = storages[storage];
        let wanted = bytes.next_multiple_of(ALIGNMENT);
        // What no kernel touches is in nobody's way.
        if first <= last {
            offsets[storage] = placed.lowest_gap(wanted, (first, last));
            placed.insert(offsets[storage]..offsets[storage] + wanted, (first, last));
        }
        size = size.max(offsets[storage] + wanted);
    }
    (offsets, size)
}

/// What is taken of the arena, and when: two binary trees over time, whose node 1 is all of it and whose
/// nodes `2 n` and `2 n + 1` are the halves of node `n`. A buffer that lives in some span of time is alive
/// at its beginning or begins within it; either is known from a few nodes, in each of which what lies
/// side by side is one stretch. So placing a buffer takes about as long whatever is placed already.
#[derive(Debug)]
struct Placed {
    leaves: usize,
    /// For each node what is taken during all of it, noted in as few nodes as possible.
    alive: Vec<Taken>,
    /// For each node what is taken by buffers that begin in it.
    begun: Vec<Taken>,
}

impl Placed {
    fn new(times: usize) -> Self {
        let leaves = times.next_power_of_two();
        let nodes = || vec![Taken::default(); 2 * leaves];
        Placed { leaves, alive: nodes(), begun: nodes() }
    }

    /// The lowest start of a gap that is free for a time.
    fn lowest_gap(&self, wanted: usize, (first, last): (usize, usize)) -> usize {
        let alive = self.around(first).map(|node| &self.alive[node]);
        let begun = self.within(first, last).into_iter().map(|node| &self.begun[node]);
        let in_the_way: Vec<&Taken> = alive.chain(begun).filter(|t| !t.0.is_empty()).collect();
        let (mut start, mut agreed) = (0, 0);
        for taken in in_the_way.iter().cycle() {
            if agreed == in_the_way.len() {
                break;
            }
            let next = taken.lowest_gap(wanted, start);
            agreed = if next == start { agreed + 1 } else { 1 };
            start = next;
        }
        start
    }

    fn insert(&mut self, stretch: Range<usize>, (first, last): (usize, usize)) {
        for node in self.within(first, last) {
            self.alive[node].insert(stretch.clone());
        }
        for node in self.around(first) {
            self.begun[node].insert(stretch.clone());
        }
    }

    /// The nodes that a time is part of.
    fn around(&self, time: usize) -> impl Iterator<Item = usize> + use<> {
        std::iter::successors(Some(self.leaves + time), |&node| (node > 1).then_some(node / 2))
    }

    /// The fewest nodes that are a span of time.
    fn within(&self, first: usize, last: usize) -> Vec<usize> {
        let (mut low, mut high) = (self.leaves + first, self.leaves + last + 1);
        let mut nodes = Vec::new();
        while low < high {
            if low % 2 == 1 {
                nodes.push(low);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                nodes.push(high);
            }
            (low, high) = (low / 2, high / 2);
        }
        nodes
    }
}

/// Stretches of the arena in their order, with gaps between them.
#[derive(Clone, Debug, Default)]
struct Taken(Vec<Range<usize>>);

impl Taken {
    /// The lowest start from `start` on of a gap that is large enough.
    fn lowest_gap(&self, wanted: usize, mut start: usize) -> usize {
        let behind = self.0.partition_point(|stretch| stretch.end <= start);
        count_work(1);
        for stretch in &self.0[behind..] {
            count_work(1);
            if start + wanted <= stretch.start {
                break;
            }
            start = stretch.end;
        }
        start
    }

    fn insert(&mut self, mut stretch: Range<usize>) {
        let from = self.0.partition_point(|other| other.end < stretch.start);
        let to = self.0.partition_point(|other| other.start <= stretch.end);
        count_work(1 + to - from);
        if from < to {
            stretch.start = stretch.start.min(self.0[from].start);
            stretch.end = stretch.end.max(self.0[to - 1].end);
        }
        self.0.splice(from..to, [stretch]);
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
    fn the_trees_change_no_offset() {
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
