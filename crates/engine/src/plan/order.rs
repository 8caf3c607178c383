//! Which groups must run before which others. The question is asked for every pair that might become
//! one kernel, so an order of all groups is kept up to date: it answers most questions at once, and
//! bounds the search for the rest to what lies between the two.

use std::collections::BTreeMap;

use super::ids::{self, GroupId, ItemId};
use super::items::Item;
use crate::counters::count_work;

/// Whom a group needs, and who needs it.
pub(super) trait Arrows {
    /// Calls `visit` with each group that a group needs.
    fn needs(&self, group: GroupId, visit: &mut dyn FnMut(GroupId));

    /// Calls `visit` with each group that needs a group.
    fn needed_by(&self, group: GroupId, visit: &mut dyn FnMut(GroupId));
}

/// Two groups with no path between them, and what stands between them in the order.
pub(super) enum Apart {
    /// All that must run behind the first of them.
    Behind(Vec<GroupId>),
    /// All that must run before the second.
    Before(Vec<GroupId>),
}

/// Groups in an order in which each stands behind those that it needs: numbers with gaps.
#[derive(Debug, Default)]
pub(super) struct Order {
    label: Vec<u64>,
    by_label: BTreeMap<u64, GroupId>,
    /// In which search each group was last seen, from either end.
    seen: [Vec<u32>; 2],
    search: u32,
}

impl Order {
    /// The order of these groups.
    pub(super) fn new(groups: impl IntoIterator<Item = GroupId>) -> Self {
        let mut order = Order::default();
        let groups: Vec<GroupId> = groups.into_iter().collect();
        order.number(&groups);
        order
    }

    /// Whether a group stands before another, which then does not run before it.
    pub(super) fn is_before(&self, first: GroupId, second: GroupId) -> bool {
        self.label[first] < self.label[second]
    }

    fn set(&mut self, group: GroupId, label: u64) {
        if self.label.len() <= group.0 {
            self.label.resize(group.0 + 1, 0);
            self.seen.iter_mut().for_each(|seen| seen.resize(group.0 + 1, 0));
        }
        self.label[group] = label;
        self.by_label.insert(label, group);
    }

    /// Numbers groups anew.
    fn number(&mut self, groups: &[GroupId]) {
        count_work(groups.len());
        let gap = u64::MAX / (groups.len() as u64 + 1);
        self.by_label.clear();
        for (&group, place) in groups.iter().zip(1..) {
            self.set(group, place * gap);
        }
    }

    /// What stands between two groups, the first before the second, of which the second does not
    /// need the first; `None` if it does. With `besides_direct`, an arrow straight from the one to
    /// the other does not count. Searches from both ends at once, so that the shorter way decides.
    pub(super) fn apart(
        &mut self,
        arrows: &impl Arrows,
        [first, second]: [GroupId; 2],
        besides_direct: bool,
    ) -> Option<Apart> {
        self.search += 1;
        let ends = [first, second];
        let (low, high) = (self.label[first], self.label[second]);
        let mut waiting = [vec![first], vec![second]];
        let mut found = [Vec::new(), Vec::new()];
        let mut steps = [0, 0];
        loop {
            let side = usize::from(steps[1] < steps[0]);
            let Some(group) = waiting[side].pop() else {
                count_work(steps[0] + steps[1]);
                let found = std::mem::take(&mut found[side]);
                return Some(if side == 0 { Apart::Behind(found) } else { Apart::Before(found) });
            };
            let mut meets = false;
            steps[side] += 1;
            let mut visit = |next: GroupId| {
                steps[side] += 1;
                if next == ends[1 - side] {
                    meets |= !(besides_direct && group == ends[side]);
                } else if (low..high).contains(&self.label[next]) && next != ends[side] {
                    meets |= self.seen[1 - side][next] == self.search;
                    if std::mem::replace(&mut self.seen[side][next], self.search) != self.search {
                        waiting[side].push(next);
                        found[side].push(next);
                    }
                }
            };
            match side {
                0 => arrows.needed_by(group, &mut visit),
                _ => arrows.needs(group, &mut visit),
            }
            if meets {
                count_work(steps[0] + steps[1]);
                return None;
            }
        }
    }

    /// Lets `kept` stand for both of two groups, the first before the second, which are apart.
    pub(super) fn merge(&mut self, [first, second]: [GroupId; 2], apart: Apart, kept: GroupId) {
        let place = match apart {
            Apart::Behind(groups) => {
                self.move_behind(groups, second);
                second
            }
            Apart::Before(groups) => {
                self.move_before(groups, first);
                first
            }
        };
        let label = self.label[place];
        for group in [first, second] {
            self.by_label.remove(&self.label[group]);
        }
        self.set(kept, label);
    }

    fn move_behind(&mut self, groups: Vec<GroupId>, place: GroupId) {
        self.take_out_and_put(groups, |order| {
            let low = order.label[place];
            let next = order.by_label.range(low + 1..).next();
            (low, next.map_or(u64::MAX, |(&label, _)| label))
        });
    }

    fn move_before(&mut self, groups: Vec<GroupId>, place: GroupId) {
        self.take_out_and_put(groups, |order| {
            let high = order.label[place];
            let previous = order.by_label.range(..high).next_back();
            (previous.map_or(0, |(&label, _)| label), high)
        });
    }

    /// Moves groups, in their order, between two labels.
    fn take_out_and_put(&mut self, mut groups: Vec<GroupId>, gap: impl Fn(&Self) -> (u64, u64)) {
        count_work(groups.len());
        groups.sort_unstable_by_key(|&group| self.label[group]);
        for &group in &groups {
            self.by_label.remove(&self.label[group]);
        }
        let step = |(low, high): (u64, u64)| (high - low) / (groups.len() as u64 + 1);
        if step(gap(self)) == 0 {
            let rest: Vec<GroupId> = self.by_label.values().copied().collect();
            self.number(&rest);
        }
        let (gap, low) = (step(gap(self)), gap(self).0);
        for (&group, place) in groups.iter().zip(1..) {
            self.set(group, low + place * gap);
        }
    }
}

/// Items on the longest path of a step, at most as many as a number has bits. Almost everything of
/// a deep network runs before or behind most of them, which tells at once that a value of the forward
/// pass runs before a late gradient.
#[derive(Debug, Default)]
pub(super) struct Landmarks {
    /// Their items.
    pub(super) items: Vec<ItemId>,
    /// For each item, which of them need it, and which it needs: a bit each.
    pub(super) behind: Vec<u64>,
    pub(super) before: Vec<u64>,
}

impl Landmarks {
    pub(super) fn new(all: &[Item]) -> Self {
        let items = spread(&longest_path(all), u64::BITS as usize);
        let mut own: Vec<u64> = vec![0; all.len()];
        for (&item, bit) in items.iter().zip(0..) {
            own[item] = 1u64 << bit;
        }
        let (mut before, mut behind) = (own.clone(), own);
        for (index, item) in ids::items(all.len()).zip(all) {
            for operand in &item.operands {
                before[index] |= before[operand.item];
            }
        }
        for (index, item) in ids::items(all.len()).zip(all).rev() {
            for operand in &item.operands {
                behind[operand.item] |= behind[index];
            }
        }
        Landmarks { items, behind, before }
    }
}

fn longest_path(all: &[Item]) -> Vec<ItemId> {
    let mut depth = vec![0usize; all.len()];
    let mut from: Vec<Option<ItemId>> = vec![None; all.len()];
    for (index, item) in ids::items(all.len()).zip(all) {
        if let Some(deepest) = item.operands.iter().map(|o| o.item).max_by_key(|&i| depth[i]) {
            (depth[index], from[index]) = (depth[deepest] + 1, Some(deepest));
        }
    }
    let last = ids::items(all.len()).max_by_key(|&index| depth[index]);
    std::iter::successors(last, |&index| from[index]).collect()
}

/// At most `most` of some items, evenly spread.
fn spread(items: &[ItemId], most: usize) -> Vec<ItemId> {
    let every = items.len().div_ceil(most).max(1);
    items.iter().copied().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrows by group: whom each is needed by.
    struct Graph(Vec<Vec<usize>>);

    impl Arrows for Graph {
        fn needs(&self, group: GroupId, visit: &mut dyn FnMut(GroupId)) {
            let needed = (0..self.0.len()).filter(|&g| self.0[g].contains(&group.0));
            needed.map(GroupId).for_each(visit);
        }

        fn needed_by(&self, group: GroupId, visit: &mut dyn FnMut(GroupId)) {
            self.0[group.0].iter().copied().map(GroupId).for_each(visit);
        }
    }

    impl Graph {
        fn reaches(&self, from: usize, to: usize, besides_direct: bool) -> bool {
            let direct = |&&next: &&usize| !(besides_direct && next == to);
            let mut waiting: Vec<usize> = self.0[from].iter().filter(direct).copied().collect();
            let mut seen = vec![false; self.0.len()];
            while let Some(group) = waiting.pop() {
                if group == to {
                    return true;
                }
                if !std::mem::replace(&mut seen[group], true) {
                    waiting.extend(&self.0[group]);
                }
            }
            false
        }

        /// Gives all arrows of `gone` to `kept`.
        fn merge(&mut self, kept: usize, gone: usize) {
            let moved = std::mem::take(&mut self.0[gone]);
            self.0[kept].extend(moved);
            for arrows in &mut self.0 {
                arrows.iter_mut().filter(|to| **to == gone).for_each(|to| *to = kept);
            }
            self.0[kept].retain(|&to| to != kept);
        }

        fn check(&self, order: &Order) {
            for (from, arrows) in self.0.iter().enumerate() {
                for &to in arrows {
                    assert!(
                        order.is_before(GroupId(from), GroupId(to)),
                        "{from} and {to}: {self:?}",
                        self = self.0
                    );
                }
            }
        }
    }

    /// Random graphs, merges and swaps: each answer is that of a plain search, and the order holds.
    #[test]
    fn answers_are_those_of_a_plain_search() {
        let mut seed = 7u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..200 {
            let count = 4 + next(40);
            let mut graph = Graph(vec![Vec::new(); count]);
            for _ in 0..next(3 * count) {
                let (a, b) = (next(count), next(count));
                if a != b {
                    graph.0[a.min(b)].push(a.max(b));
                }
            }
            let mut order = Order::new(ids::groups(count));
            let mut alive: Vec<usize> = (0..count).collect();
            while alive.len() > 2 {
                let (a, b) = (alive[next(alive.len())], alive[next(alive.len())]);
                if a == b {
                    continue;
                }
                let pair = if order.is_before(GroupId(a), GroupId(b)) { [a, b] } else { [b, a] };
                let direct = next(2) == 0;
                assert!(!graph.reaches(pair[1], pair[0], false));
                let apart = order.apart(&graph, pair.map(GroupId), direct);
                assert_eq!(apart.is_none(), graph.reaches(pair[0], pair[1], direct));
                match apart {
                    Some(apart) if direct => {
                        order.merge(pair.map(GroupId), apart, GroupId(a));
                        graph.merge(a, b);
                        alive.retain(|&group| group != b);
                    }
                    // An arrow where there was no way makes none that leads back.
                    Some(_) => graph.0[pair[0]].push(pair[1]),
                    None if next(4) == 0 => break,
                    None => {}
                }
                graph.check(&order);
            }
        }
    }
}
