//! Which items share a kernel, and in what order the kernels run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::items::{Item, ItemKind, Items};
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
    /// Groups that must run before others although no value passes between them.
    before: Vec<(usize, usize)>,
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
        Groups { members, of_item, consumers, before: Vec::new() }
    }

    fn singletons(items: &[Item]) -> Self {
        let mut groups = Groups {
            members: Vec::new(),
            of_item: Vec::new(),
            consumers: vec![Vec::new(); items.len()],
            before: Vec::new(),
        };
        for (index, item) in items.iter().enumerate() {
            groups.register(index, item);
        }
        groups
    }

    /// Gives an item that was just appended a group of its own.
    pub(super) fn register(&mut self, index: usize, item: &Item) {
        self.consumers.resize(self.consumers.len().max(index + 1), Vec::new());
        for operand in &item.operands {
            self.consumers[operand.item].push(index);
        }
        let given = matches!(item.kind, ItemKind::External(..) | ItemKind::Number(_));
        self.of_item.push((!given).then_some(self.members.len()));
        if !given {
            self.members.push(vec![index]);
        }
    }

    /// The groups that must run after `group`.
    fn successors(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        let readers = self.members[group].iter().flat_map(|&item| &self.consumers[item]);
        let by_value = readers.filter_map(|&reader| self.of_item[reader]);
        let by_order = self.before.iter().filter(move |b| b.0 == group).map(|b| b.1);
        by_value.chain(by_order).filter(move |&other| other != group)
    }

    /// Whether `to` must run after `from`, by a path that does not begin with a step from `from`
    /// straight to `to` when `skip_direct` is set.
    fn reaches(&self, from: usize, to: usize, skip_direct: bool) -> bool {
        let mut seen = vec![false; self.members.len()];
        let first = self.successors(from).filter(|&next| !skip_direct || next != to);
        let mut stack: Vec<usize> = first.collect();
        while let Some(group) = stack.pop() {
            if group == to {
                return true;
            }
            if !std::mem::replace(&mut seen[group], true) {
                stack.extend(self.successors(group));
            }
        }
        false
    }

    fn try_merge(&mut self, items: &[Item], producer: usize, consumer: usize) {
        let (Some(a), Some(b)) = (self.of_item[producer], self.of_item[consumer]) else { return };
        let too_long = self.members[a].len() + self.members[b].len() > MAX_MEMBERS;
        if a == b || too_long || self.has_hard_edge(items, a, b) || self.reaches(a, b, true) {
            return;
        }
        self.merge(a, b);
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
        if same && fits && !self.reaches(a, b, false) && !self.reaches(b, a, false) {
            self.merge(a, b);
        }
    }

    /// Asks that `first` runs before `second`; false, and nothing changes, if it cannot.
    pub(super) fn order(&mut self, first: &[usize], second: usize) -> bool {
        if first.iter().any(|&group| group != second && self.reaches(second, group, false)) {
            return false;
        }
        self.before.extend(first.iter().filter(|&&g| g != second).map(|&g| (g, second)));
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
        let mut waiting = vec![0; self.members.len()];
        for group in 0..self.members.len() {
            for next in self.successors(group) {
                waiting[next] += 1;
            }
        }
        let position = |group: usize| {
            let last = self.members[group].last().copied().unwrap_or(0);
            (items.items[last].phase != Phase::Update, last)
        };
        let live = (0..self.members.len()).filter(|&g| !self.members[g].is_empty());
        let mut ready: BinaryHeap<_> =
            live.clone().filter(|&g| waiting[g] == 0).map(|g| Reverse((position(g), g))).collect();
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
        if order.len() != live.count() {
            let what = "the kernels of a plan wait for each other in a circle".to_owned();
            return Err(EngineError::Invariant { what });
        }
        Ok(order)
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
