//! Which items share a kernel, and in what order the kernels run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::items::{Item, ItemKind, Items};
use super::order::{Apart, Arrows, Landmarks, Order};
use super::view::View;
use crate::error::EngineError;
use crate::graph::Phase;

/// More instructions than this would not gain from one kernel.
const MAX_MEMBERS: usize = 128;

/// Below this many elements a pass over shared operands costs less than the look for a partner.
const WORTH_SHARING: usize = 1024;

/// A partition of the computed items into kernels.
#[derive(Debug)]
pub(super) struct Groups {
    /// The items of each group in topological order; empty for groups merged into another.
    pub(super) members: Vec<Vec<usize>>,
    /// The group of each item, `None` for what is there when the step begins.
    pub(super) of_item: Vec<Option<usize>>,
    /// The items that read each item.
    consumers: Vec<Vec<usize>>,
    /// The groups that must run before and behind each although no value passes between them.
    before: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    order: Order,
    landmarks: Landmarks,
    /// For each group, the landmarks that need it and that it needs.
    marks: Vec<[u64; 2]>,
}

/// Groups with the items that they are of.
struct Dependencies<'a> {
    groups: &'a Groups,
    items: &'a [Item],
}

impl Arrows for Dependencies<'_> {
    fn needs(&self, group: usize, visit: &mut dyn FnMut(usize)) {
        let Dependencies { groups, items } = self;
        let operands = groups.members[group].iter().flat_map(|&item| &items[item].operands);
        let by_value = operands.filter_map(|operand| groups.of_item[operand.item]);
        let all = by_value.chain(groups.before[group].iter().copied());
        all.filter(|&other| other != group).for_each(visit);
    }

    fn needed_by(&self, group: usize, visit: &mut dyn FnMut(usize)) {
        self.groups.successors(group).for_each(visit);
    }
}

impl Groups {
    /// Groups elementwise items with those they feed, and items that read the same operands.
    pub(super) fn new(items: &Items) -> Self {
        let mut groups = Groups::singletons(&items.items);
        for (index, item) in items.items.iter().enumerate() {
            for operand in &item.operands {
                if is_fusable_edge(&items.items, operand, item) {
                    groups.try_merge(&items.items, operand.item, index);
                }
            }
        }
        groups.share_passes(&items.items);
        groups
    }

    /// These groups, by the group of each item.
    pub(super) fn of(items: &[Item], of_item: Vec<Option<usize>>) -> Self {
        let count = of_item.iter().flatten().max().map_or(0, |&last| last + 1);
        let (mut members, mut consumers) = (vec![Vec::new(); count], vec![Vec::new(); items.len()]);
        for (index, item) in items.iter().enumerate() {
            if let Some(group) = of_item[index] {
                members[group].push(index);
            }
            for operand in &item.operands {
                consumers[operand.item].push(index);
            }
        }
        let none = vec![Vec::new(); count];
        let mut groups = Groups {
            members,
            of_item,
            consumers,
            before: none.clone(),
            behind: none,
            order: Order::default(),
            landmarks: Landmarks::default(),
            marks: vec![[0; 2]; count],
        };
        // In a circle, which no order has and `schedule` will name, any order is as good.
        let (mut order, rest) = groups.topological(|group| group);
        order.extend(rest);
        groups.order = Order::new(order);
        groups
    }

    fn singletons(items: &[Item]) -> Self {
        let mut count = 0;
        let of_item = items.iter().map(|item| {
            let number = count;
            count += usize::from(item.is_computed());
            item.is_computed().then_some(number)
        });
        let mut groups = Groups::of(items, of_item.collect());
        groups.landmarks = Landmarks::new(items);
        for (marks, members) in groups.marks.iter_mut().zip(&groups.members) {
            let item = members[0];
            *marks = [groups.landmarks.behind[item], groups.landmarks.before[item]];
        }
        groups
    }

    /// Gives an item that was just appended a group of its own.
    pub(super) fn register(&mut self, index: usize, item: &Item) {
        self.consumers.resize(self.consumers.len().max(index + 1), Vec::new());
        for operand in &item.operands {
            self.consumers[operand.item].push(index);
        }
        let group = self.members.len();
        self.of_item.push(Some(group));
        self.members.push(vec![index]);
        self.before.push(Vec::new());
        self.behind.push(Vec::new());
        self.marks.push([0; 2]);
        self.order.push(group);
    }

    /// The groups that must run after `group`.
    fn successors(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let readers = self.members[group].iter().flat_map(|&item| &self.consumers[item]);
        let by_value = readers.filter_map(|&reader| self.of_item[reader]);
        let all = by_value.chain(self.behind[group].iter().copied());
        all.filter(move |&other| other != group)
    }

    /// What stands between two groups, the first before the second, unless there is a path from the
    /// one to the other; with `besides_direct`, a path of more than one step.
    fn apart(&mut self, items: &[Item], pair: [usize; 2], besides_direct: bool) -> Option<Apart> {
        if self.passes_a_landmark(pair) {
            return None;
        }
        let mut order = std::mem::take(&mut self.order);
        let apart = order.apart(&Dependencies { groups: self, items }, pair, besides_direct);
        self.order = order;
        apart
    }

    /// Whether a third group, which has a landmark, runs between the two in any case.
    fn passes_a_landmark(&self, pair: [usize; 2]) -> bool {
        let between = self.marks[pair[0]][0] & self.marks[pair[1]][1];
        let mut landmarks = self.landmarks.items.iter().zip(0..);
        landmarks.any(|(&item, bit)| {
            let group = self.of_item[item];
            between >> bit & 1 == 1 && group.is_some_and(|group| !pair.contains(&group))
        })
    }

    fn try_merge(&mut self, items: &[Item], producer: usize, consumer: usize) {
        let (Some(a), Some(b)) = (self.of_item[producer], self.of_item[consumer]) else { return };
        let too_long = self.members[a].len() + self.members[b].len() > MAX_MEMBERS;
        if a == b || too_long || self.has_hard_edge(items, a, b) {
            return;
        }
        if let Some(apart) = self.apart(items, [a, b], true) {
            self.order.merge([a, b], apart, a);
            self.merge(a, b);
        }
    }

    /// Whether a member of `b` needs a finished result of `a`, such as a whole reduction.
    fn has_hard_edge(&self, items: &[Item], a: usize, b: usize) -> bool {
        self.members[b].iter().any(|&index| {
            let item = &items[index];
            let from_a = item.operands.iter().filter(|o| self.of_item[o.item] == Some(a));
            from_a.into_iter().any(|operand| !is_fusable_edge(items, operand, item))
        })
    }

    fn merge(&mut self, a: usize, b: usize) {
        let moved = std::mem::take(&mut self.members[b]);
        for &item in &moved {
            self.of_item[item] = Some(a);
        }
        self.members[a].extend(moved);
        self.members[a].sort_unstable();
        for side in 0..2 {
            self.marks[a][side] |= self.marks[b][side];
        }
    }

    /// Merges independent groups over one domain that read the same operand, so that it is
    /// streamed from memory once.
    fn share_passes(&mut self, items: &[Item]) {
        for index in 0..items.len() {
            if items[index].ty.shape.elements() < WORTH_SHARING {
                continue;
            }
            let readers = self.consumers[index].iter();
            let mut sharing: Vec<usize> = readers
                .filter(|&&r| items[r].is_fusable() && reads_all_of(items, r, index))
                .filter_map(|&r| self.of_item[r])
                .collect();
            sharing.sort_unstable();
            sharing.dedup();
            for i in 1..sharing.len() {
                for j in 0..i {
                    self.try_share(items, sharing[j], sharing[i]);
                }
            }
        }
    }

    fn try_share(&mut self, items: &[Item], a: usize, b: usize) {
        let (Some(&x), Some(&y)) = (self.members[a].first(), self.members[b].first()) else {
            return;
        };
        let same = a != b && items[x].domain() == items[y].domain();
        let fits = self.members[a].len() + self.members[b].len() <= MAX_MEMBERS;
        if !same || !fits {
            return;
        }
        let pair = if self.order.is_before(a, b) { [a, b] } else { [b, a] };
        if let Some(apart) = self.apart(items, pair, false) {
            self.order.merge(pair, apart, a);
            self.merge(a, b);
        }
    }

    /// Asks that all of `first` run before `second`; false if they cannot.
    pub(super) fn order(&mut self, items: &[Item], first: &[usize], second: usize) -> bool {
        let others = || first.iter().copied().filter(|&group| group != second);
        let late: Vec<usize> = others().filter(|&g| self.order.is_before(second, g)).collect();
        if late.iter().any(|&group| self.apart(items, [second, group], false).is_none()) {
            return false;
        }
        for group in late {
            // The ones before may have been moved along.
            if self.order.is_before(second, group) {
                let Some(apart) = self.apart(items, [second, group], false) else { return false };
                self.order.swap([second, group], apart);
            }
        }
        for group in others() {
            self.behind[group].push(second);
            self.before[second].push(group);
        }
        true
    }

    /// The groups that read an item.
    pub(super) fn readers(&self, item: usize) -> Vec<usize> {
        let mut groups: Vec<usize> =
            self.consumers[item].iter().filter_map(|&reader| self.of_item[reader]).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// The items of its own group that read an item.
    pub(super) fn inside(&self, item: usize) -> impl Iterator<Item = usize> + '_ {
        let own = self.of_item[item];
        self.consumers[item].iter().copied().filter(move |&reader| self.of_item[reader] == own)
    }

    /// The items of other groups that read an item.
    pub(super) fn outside(&self, item: usize) -> impl Iterator<Item = usize> + '_ {
        let own = self.of_item[item];
        self.consumers[item].iter().copied().filter(move |&reader| self.of_item[reader] != own)
    }

    /// Whether an item is read outside its own group.
    pub(super) fn escapes(&self, item: usize) -> bool {
        self.outside(item).next().is_some()
    }

    /// The groups in an order that respects every dependency and otherwise keeps that of the
    /// graph: forward, then backward. What belongs to the update runs as soon as it can, so that
    /// gradients do not wait in memory for each other.
    pub(super) fn schedule(&self, items: &Items) -> Result<Vec<usize>, EngineError> {
        let position = |group: usize| {
            let last = self.members[group].last().copied().unwrap_or(0);
            (items.items[last].phase != Phase::Update, last)
        };
        match self.topological(position) {
            (order, rest) if rest.is_empty() => Ok(order),
            _ => {
                let what = "the kernels of a plan wait for each other in a circle".to_owned();
                Err(EngineError::Invariant { what })
            }
        }
    }

    /// The groups in an order that respects every dependency, of those that are ready the one with the
    /// smallest `position` first, and the groups that wait for each other in a circle.
    fn topological<K: Ord>(&self, position: impl Fn(usize) -> K) -> (Vec<usize>, Vec<usize>) {
        let mut waiting = vec![0; self.members.len()];
        for group in 0..self.members.len() {
            for next in self.successors(group) {
                waiting[next] += 1;
            }
        }
        let live = || (0..self.members.len()).filter(|&g| !self.members[g].is_empty());
        let mut ready: BinaryHeap<_> =
            live().filter(|&g| waiting[g] == 0).map(|g| Reverse((position(g), g))).collect();
        let mut order = Vec::new();
        while let Some(Reverse((_, group))) = ready.pop() {
            order.push(group);
            for next in self.successors(group) {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(Reverse((position(next), next)));
                }
            }
        }
        let rest = live().filter(|&g| waiting[g] > 0).collect();
        (order, rest)
    }
}

/// Whether a consumer can take its operand from a register of the same kernel.
pub(super) fn is_fusable_edge(items: &[Item], operand: &View, consumer: &Item) -> bool {
    let producer = &items[operand.item];
    matches!(producer.kind, ItemKind::Map(_) | ItemKind::Copy)
        && consumer.is_fusable()
        && operand.shape == producer.ty.shape
        && operand.is_whole(producer.ty.shape.elements())
        && consumer.domain() == producer.domain()
}

/// Whether an item reads every element of another.
fn reads_all_of(items: &[Item], reader: usize, item: usize) -> bool {
    let elements = items[item].ty.shape.elements();
    items[reader].operands.iter().any(|o| o.item == item && o.shape.elements() == elements)
}
