//! Which items share a kernel, and in what order the kernels run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ids::{self, GroupId, ItemId};
use super::items::{Item, ItemKind, Items};
use super::order::{Apart, Arrows, Landmarks, Order};
use super::pairing::{CompositeKind, composites};
use super::view::View;
use super::write_back::{ReadBefore, read_before};
use crate::error::EngineError;
use crate::graph::Phase;

/// More instructions than this would not gain from one kernel.
pub(super) const MAX_MEMBERS: usize = 128;

/// Below this many elements a pass over shared operands costs less than the look for a partner.
const WORTH_SHARING: usize = 1024;

/// A partition of the computed items into kernels.
#[derive(Debug)]
pub(super) struct Groups {
    /// The items of each group in topological order; empty for groups merged into another.
    pub(super) members: Vec<Vec<ItemId>>,
    /// The group of each item, `None` for what is there when the step begins.
    pub(super) of_item: Vec<Option<GroupId>>,
    /// The items that read each item.
    consumers: Vec<Vec<ItemId>>,
    /// For each item what overwrites what it reads, and the other way round.
    read_before: Vec<Vec<ReadBefore>>,
    reads_of_old: Vec<Vec<ItemId>>,
    order: Order,
    landmarks: Landmarks,
    /// For each group, the landmarks that need it and that it needs.
    marks: Vec<[u64; 2]>,
    /// Which groups are composites. Nothing else joins them.
    pub(super) composite: Vec<Option<CompositeKind>>,
}

/// Groups with the items that they are of.
struct Dependencies<'a> {
    groups: &'a Groups,
    items: &'a [Item],
}

impl Arrows for Dependencies<'_> {
    fn needs(&self, group: GroupId, visit: &mut dyn FnMut(GroupId)) {
        let Dependencies { groups, items } = self;
        let operands = groups.members[group].iter().flat_map(|&item| &items[item].operands);
        let by_value = operands.filter_map(|operand| groups.of_item[operand.item]);
        let members = groups.members[group].iter();
        let old = members.flat_map(|&item| &groups.reads_of_old[item]);
        let all = by_value.chain(old.filter_map(|&reader| groups.of_item[reader]));
        all.filter(|&other| other != group).for_each(visit);
    }

    fn needed_by(&self, group: GroupId, visit: &mut dyn FnMut(GroupId)) {
        self.groups.successors(group).for_each(visit);
    }
}

impl Groups {
    /// Groups elementwise items with those they feed, and items that read the same operands.
    pub(super) fn new(items: &Items) -> Self {
        let mut groups = Groups::singletons(items);
        for (kind, parts) in composites(&items.items) {
            groups.unite(&items.items, kind, &parts);
        }
        for (index, item) in ids::items(items.items.len()).zip(&items.items) {
            for operand in &item.operands {
                if is_fusable_edge(&items.items, operand, item) {
                    groups.try_merge(&items.items, operand.item, index);
                }
            }
        }
        groups.share_passes(&items.items);
        groups
    }

    /// These groups, by the group of each item and what each group is.
    pub(super) fn of(
        all: &Items,
        of_item: Vec<Option<GroupId>>,
        mut composite: Vec<Option<CompositeKind>>,
    ) -> Self {
        let items = &all.items;
        let count = of_item.iter().flatten().max().map_or(0, |last| last.0 + 1);
        let mut members: Vec<Vec<ItemId>> = vec![Vec::new(); count];
        let mut consumers: Vec<Vec<ItemId>> = vec![Vec::new(); items.len()];
        for (index, item) in ids::items(items.len()).zip(items) {
            if let Some(group) = of_item[index] {
                members[group].push(index);
            }
            for operand in &item.operands {
                consumers[operand.item].push(index);
            }
        }
        composite.resize(count, None);
        let read_before = read_before(all);
        let mut reads_of_old: Vec<Vec<ItemId>> = vec![Vec::new(); items.len()];
        for (reader, overwritten) in ids::items(items.len()).zip(&read_before) {
            overwritten.iter().for_each(|by| reads_of_old[by.writer].push(reader));
        }
        let mut groups = Groups {
            members,
            of_item,
            consumers,
            read_before,
            reads_of_old,
            order: Order::default(),
            landmarks: Landmarks::default(),
            marks: vec![[0; 2]; count],
            composite,
        };
        // In a circle, which no order has and `schedule` will name, any order is as good.
        let (mut order, rest) = groups.topological(|group| group);
        order.extend(rest);
        groups.order = Order::new(order);
        groups
    }

    fn singletons(all: &Items) -> Self {
        let items = &all.items;
        let mut count = 0;
        let of_item = items.iter().map(|item| {
            let number = count;
            count += usize::from(item.is_computed());
            item.is_computed().then_some(GroupId(number))
        });
        let mut groups = Groups::of(all, of_item.collect(), Vec::new());
        groups.landmarks = Landmarks::new(items);
        for (marks, members) in groups.marks.iter_mut().zip(&groups.members) {
            let item = members[0];
            *marks = [groups.landmarks.behind[item], groups.landmarks.before[item]];
        }
        groups
    }

    /// The groups that must run after `group`.
    fn successors(&self, group: GroupId) -> impl Iterator<Item = GroupId> + '_ {
        let readers = self.members[group].iter().flat_map(|&item| &self.consumers[item]);
        let by_value = readers.filter_map(|&reader| self.of_item[reader]);
        let members = self.members[group].iter();
        let overwriting = members.flat_map(|&item| &self.read_before[item]);
        let all = by_value.chain(overwriting.filter_map(|by| self.of_item[by.writer]));
        all.filter(move |&other| other != group)
    }

    /// What stands between two groups, the first before the second, unless there is a path from the
    /// one to the other; with `besides_direct`, a path of more than one step.
    fn apart(&mut self, items: &[Item], pair: [GroupId; 2], besides_direct: bool) -> Option<Apart> {
        if self.passes_a_landmark(pair) {
            return None;
        }
        let mut order = std::mem::take(&mut self.order);
        let apart = order.apart(&Dependencies { groups: self, items }, pair, besides_direct);
        self.order = order;
        apart
    }

    /// Whether a third group, which has a landmark, runs between the two in any case.
    fn passes_a_landmark(&self, pair: [GroupId; 2]) -> bool {
        let between = self.marks[pair[0]][0] & self.marks[pair[1]][1];
        let mut landmarks = self.landmarks.items.iter().zip(0..);
        landmarks.any(|(&item, bit)| {
            let group = self.of_item[item];
            between >> bit & 1 == 1 && group.is_some_and(|group| !pair.contains(&group))
        })
    }

    fn try_merge(&mut self, items: &[Item], producer: ItemId, consumer: ItemId) {
        let (Some(a), Some(b)) = (self.of_item[producer], self.of_item[consumer]) else { return };
        let too_long = self.members[a].len() + self.members[b].len() > MAX_MEMBERS;
        if a == b || too_long || self.has_composite([a, b]) || self.has_hard_edge(items, a, b) {
            return;
        }
        if let Some(apart) = self.apart(items, [a, b], true) {
            self.order.merge([a, b], apart, a);
            self.merge(a, b);
        }
    }

    /// Makes one group of items that are apart but for the values that pass between them.
    fn unite(&mut self, items: &[Item], kind: CompositeKind, parts: &[ItemId]) {
        let groups: Vec<GroupId> = parts.iter().filter_map(|&item| self.of_item[item]).collect();
        let [first, rest @ ..] = &groups[..] else { return };
        for &group in rest {
            let pair = match self.order.is_before(*first, group) {
                true => [*first, group],
                false => [group, *first],
            };
            // Only a step that takes the gradient of a gradient could have a way from one part to another.
            let Some(apart) = self.apart(items, pair, true) else { return };
            self.order.merge(pair, apart, *first);
            self.merge(*first, group);
        }
        self.composite[*first] = Some(kind);
    }

    fn has_composite(&self, groups: [GroupId; 2]) -> bool {
        groups.iter().any(|&group| self.composite[group].is_some())
    }

    /// Whether a member of `b` needs a finished result of `a`, such as a whole reduction, or overwrites what
    /// `a` must have read by then.
    fn has_hard_edge(&self, items: &[Item], a: GroupId, b: GroupId) -> bool {
        self.overwrites_what_is_read(a, b)
            || self.members[b].iter().any(|&index| {
                let item = &items[index];
                let from_a = item.operands.iter().filter(|o| self.of_item[o.item] == Some(a));
                from_a.into_iter().any(|operand| !is_fusable_edge(items, operand, item))
            })
    }

    /// Whether one of two groups overwrites state that the other reads in another order.
    pub(super) fn overwrites_what_is_read(&self, a: GroupId, b: GroupId) -> bool {
        [(a, b), (b, a)].into_iter().any(|(reader, writer)| {
            let reads = self.members[reader].iter().flat_map(|&item| &self.read_before[item]);
            reads.into_iter().any(|by| !by.in_step && self.of_item[by.writer] == Some(writer))
        })
    }

    fn merge(&mut self, a: GroupId, b: GroupId) {
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
        for index in ids::items(items.len()) {
            if items[index].ty.shape.elements() < WORTH_SHARING {
                continue;
            }
            let readers = self.consumers[index].iter();
            let mut sharing: Vec<GroupId> = readers
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

    fn try_share(&mut self, items: &[Item], a: GroupId, b: GroupId) {
        let (Some(&x), Some(&y)) = (self.members[a].first(), self.members[b].first()) else {
            return;
        };
        let same = a != b && items[x].domain() == items[y].domain();
        let fits = self.members[a].len() + self.members[b].len() <= MAX_MEMBERS;
        if !same || !fits || self.has_composite([a, b]) {
            return;
        }
        let pair = if self.order.is_before(a, b) { [a, b] } else { [b, a] };
        // That one overwrites what the other reads does not keep them apart.
        let [first, second] = pair;
        if self.has_hard_edge(items, first, second) {
            return;
        }
        if let Some(apart) = self.apart(items, pair, true) {
            self.order.merge(pair, apart, a);
            self.merge(a, b);
        }
    }

    /// The items of its own group that read an item.
    pub(super) fn inside(&self, item: ItemId) -> impl Iterator<Item = ItemId> + '_ {
        let own = self.of_item[item];
        self.consumers[item].iter().copied().filter(move |&reader| self.of_item[reader] == own)
    }

    /// The items of other groups that read an item.
    pub(super) fn outside(&self, item: ItemId) -> impl Iterator<Item = ItemId> + '_ {
        let own = self.of_item[item];
        self.consumers[item].iter().copied().filter(move |&reader| self.of_item[reader] != own)
    }

    /// Whether an item is read outside its own group.
    pub(super) fn escapes(&self, item: ItemId) -> bool {
        self.outside(item).next().is_some()
    }

    /// Whether each group runs behind one that has overwritten a state buffer, or does that itself.
    pub(super) fn run_late(&self, items: &Items) -> Vec<bool> {
        let mut late = vec![false; self.members.len()];
        let writers = items.writes.iter().filter_map(|(_, view)| self.of_item[view.item]);
        writers.for_each(|group| late[group] = true);
        let (order, _) = self.topological(|group| group);
        for group in order {
            if late[group] {
                self.successors(group).for_each(|next| late[next] = true);
            }
        }
        late
    }

    /// The groups in an order that respects every dependency and otherwise keeps that of the
    /// graph: forward, then backward. What belongs to the update runs as soon as it can, so that
    /// gradients do not wait in memory for each other.
    pub(super) fn schedule(&self, items: &Items) -> Result<Vec<GroupId>, EngineError> {
        let position = |group: GroupId| {
            let last = self.members[group].last().copied().unwrap_or(ItemId(0));
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
    fn topological<K: Ord>(&self, position: impl Fn(GroupId) -> K) -> (Vec<GroupId>, Vec<GroupId>) {
        let mut waiting: Vec<usize> = vec![0; self.members.len()];
        for group in ids::groups(self.members.len()) {
            for next in self.successors(group) {
                waiting[next] += 1;
            }
        }
        let live = || ids::groups(self.members.len()).filter(|&g| !self.members[g].is_empty());
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
fn reads_all_of(items: &[Item], reader: ItemId, item: ItemId) -> bool {
    let elements = items[item].ty.shape.elements();
    items[reader].operands.iter().any(|o| o.item == item && o.shape.elements() == elements)
}
