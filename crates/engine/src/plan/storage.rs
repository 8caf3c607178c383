//! Which buffer each item lies in, and for how long.

use super::fuse::Groups;
use super::ids::{self, GroupId, ItemId, lists};
use super::items::{ItemKind, Items};
use super::place::Region;
use super::view::View;

/// A buffer that one or more items lie in.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    /// The state buffer it is, or `None` for a part of the arena.
    pub(super) state: Option<Region>,
    pub(super) bytes: usize,
    /// The positions of the first and last kernel that touch it.
    pub(super) first: usize,
    pub(super) last: usize,
    /// Whether it must outlive the step.
    pub(super) pinned: bool,
}

/// Where an item lies: a storage and the elements before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Location {
    pub(super) storage: usize,
    pub(super) offset: usize,
}

lists! { ItemId: Option<Location>; }

/// The buffers of a plan.
#[derive(Debug, Default)]
pub(super) struct Storages {
    pub(super) all: Vec<Storage>,
    /// The location of each item that is kept in memory by the step.
    pub(super) of_item: Vec<Option<Location>>,
}

impl Storages {
    /// Gives each item that must be in memory a storage, shared where one item is assembled from
    /// others and where an elementwise result can take the place of a dying operand.
    pub(super) fn new(items: &Items, groups: &Groups, order: &[GroupId]) -> Self {
        let mut storages = Storages { all: Vec::new(), of_item: vec![None; items.items.len()] };
        for (state, view) in &items.writes {
            if let ItemKind::External(region, _) = items.items[*state].kind {
                storages.give(items, view.item, Some(region));
            }
        }
        for &(old, new) in &items.over {
            if items.items[old].is_computed() {
                storages.of_item[old] = storages.of_item[new];
            }
        }
        storages.assign(items, groups);
        storages.measure(items, groups, order);
        storages.reuse_operands(items, groups, order);
        storages
    }

    fn give(&mut self, items: &Items, item: ItemId, state: Option<Region>) {
        let bytes = items.items[item].ty.bytes();
        let storage = self.all.len();
        self.all.push(Storage { state, bytes, first: usize::MAX, last: 0, pinned: false });
        self.of_item[item] = Some(Location { storage, offset: 0 });
    }

    /// From the last item to the first, so that an assembled item has its place before its parts.
    fn assign(&mut self, items: &Items, groups: &Groups) {
        let mut roots = vec![false; items.items.len()];
        let named = items.reports.iter().chain(&items.outputs);
        named.for_each(|(_, view)| roots[view.item] = true);
        for index in ids::items(items.items.len()).rev() {
            let item = &items.items[index];
            if groups.of_item[index].is_none() {
                continue;
            }
            let kept = groups.escapes(index)
                || roots[index]
                || !matches!(item.kind, ItemKind::Map(_) | ItemKind::Copy);
            if kept && self.of_item[index].is_none() {
                self.give(items, index, None);
            }
            // A fill runs when all parts are ready, so it would wipe out those already in place.
            if let (ItemKind::Assemble { windows, fill: None }, Some(at)) =
                (&item.kind, self.of_item[index])
            {
                for (operand, window) in item.operands.iter().zip(windows) {
                    self.assemble(items, groups, operand, window, at);
                }
            }
        }
    }

    /// Lets a part be computed straight into its window where that is one stretch of memory.
    fn assemble(
        &mut self,
        items: &Items,
        groups: &Groups,
        operand: &View,
        window: &View,
        whole: Location,
    ) {
        let part = operand.item;
        let is_computed = groups.of_item[part].is_some();
        let covers = operand.is_whole(items.items[part].ty.shape.elements());
        if is_computed && covers && window.is_contiguous() && self.of_item[part].is_none() {
            let offset = whole.offset + window.offset;
            self.of_item[part] = Some(Location { storage: whole.storage, offset });
        }
    }

    /// The first and last kernel that touch each storage.
    fn measure(&mut self, items: &Items, groups: &Groups, order: &[GroupId]) {
        for (time, &group) in order.iter().enumerate() {
            for &member in &groups.members[group] {
                let reads = items.items[member].operands.iter().map(|o| o.item);
                for touched in reads.chain([member]) {
                    if let Some(at) = self.of_item[touched] {
                        let storage = &mut self.all[at.storage];
                        storage.first = storage.first.min(time);
                        storage.last = storage.last.max(time);
                    }
                }
            }
        }
        for (_, view) in items.reports.iter().chain(&items.outputs) {
            if let Some(at) = self.of_item[view.item] {
                let storage = &mut self.all[at.storage];
                storage.pinned = true;
                storage.last = order.len();
            }
        }
    }

    /// An elementwise result may overwrite an operand that nobody reads later.
    fn reuse_operands(&mut self, items: &Items, groups: &Groups, order: &[GroupId]) {
        let mut tenants = vec![0; self.all.len()];
        for at in self.of_item.iter().flatten() {
            tenants[at.storage] += 1;
        }
        for (time, &group) in order.iter().enumerate() {
            for &member in &groups.members[group] {
                let is_store =
                    matches!(items.items[member].kind, ItemKind::Map(_) | ItemKind::Copy);
                let Some(at) = self.of_item[member].filter(|_| is_store) else { continue };
                if tenants[at.storage] != 1 || self.all[at.storage].state.is_some() {
                    continue;
                }
                let victim = self.dying_operand(items, &groups.members[group], member, time);
                if let Some(victim) = victim {
                    let (first, last) = (self.all[victim].first, self.all[at.storage].last);
                    let pinned = self.all[at.storage].pinned;
                    self.all[at.storage].bytes = 0;
                    self.of_item[member] = Some(Location { storage: victim, offset: 0 });
                    self.all[victim] = Storage { first, last, pinned, ..self.all[victim].clone() };
                }
            }
        }
    }

    /// A storage of the arena that one kernel reads element by element as its last reader and
    /// that is as large as the result.
    fn dying_operand(
        &self,
        items: &Items,
        members: &[ItemId],
        result: ItemId,
        time: usize,
    ) -> Option<usize> {
        let result_item = &items.items[result];
        let reads: Vec<&View> = members.iter().flat_map(|&m| &items.items[m].operands).collect();
        reads.iter().find_map(|operand| {
            let at = self.of_item[operand.item]?;
            let storage = &self.all[at.storage];
            let dies = storage.last == time && storage.first < time && !storage.pinned;
            let in_arena = storage.state.is_none() && storage.bytes == result_item.ty.bytes();
            if !dies || !in_arena {
                return None;
            }
            // Every read of the storage in this kernel must be of the element being written.
            let aligned = reads.iter().all(|other| {
                let elsewhere = self.of_item[other.item].is_none_or(|o| o.storage != at.storage);
                let item = &items.items[other.item];
                let same = other.is_whole(item.ty.shape.elements())
                    && &other.shape == result_item.domain()
                    && item.ty.bytes() == storage.bytes
                    && item.ty.dtype.size() == result_item.ty.dtype.size();
                elsewhere || same
            });
            aligned.then_some(at.storage)
        })
    }
}
