//! Values that are computed again where they are needed, because keeping them costs more: a mask
//! of what an activation let through, or a difference from a mean, is as large as the value that
//! it comes from, and that one is in memory anyway.

use std::collections::HashMap;

use super::fuse::{Groups, is_fusable_edge};
use super::ids::{self, GroupId, ItemId};
use super::items::{Item, ItemKind, Items};
use super::place::Region;
use super::view::View;
use crate::ops::{Binary, Op, Unary};

/// The most ops that are done again for one value.
const MOST_OPS: usize = 4;

/// What is small beside a value: reading it again costs nothing.
const SMALL: usize = 8;

/// The items and groups with a copy of each such value in every other group that reads it.
pub(super) fn recompute(items: Items, groups: Groups) -> (Items, Groups) {
    let roots = roots(&items);
    let chosen = choose(&items, &groups, &roots);
    if !chosen.contains(&true) {
        return (items, groups);
    }
    let useless = useless(&items.items, &groups, &chosen, &roots);
    let mut copier = Copier {
        old: &items.items,
        groups: &groups,
        chosen: &chosen,
        useless: &useless,
        new: Vec::new(),
        of_item: Vec::new(),
        places: Vec::new(),
        again: HashMap::new(),
    };
    ids::items(items.items.len()).for_each(|index| copier.add(index));
    let Copier { new, of_item, places, .. } = copier;
    let items = items.moved(new, &places);
    let groups = Groups::of(&items, of_item, groups.composite);
    (items, groups)
}

/// Whether each item must be in memory when the step is over.
fn roots(items: &Items) -> Vec<bool> {
    let writes = items.writes.iter().map(|(_, view)| view.item);
    let named = items.reports.iter().chain(&items.outputs).map(|(_, view)| view.item);
    let mut roots = vec![false; items.items.len()];
    writes.chain(named).for_each(|item| roots[item] = true);
    roots
}

/// Whether each item is computed again by the kernels that read it.
fn choose(items: &Items, groups: &Groups, roots: &[bool]) -> Vec<bool> {
    let mut written = vec![false; roots.len()];
    let over = items.over.iter().map(|(old, _)| old);
    items.writes.iter().map(|(state, _)| state).chain(over).for_each(|&old| written[old] = true);
    let (late, chosen) = (groups.run_late(items), vec![false; roots.len()]);
    let mut choice = Choice { items: &items.items, groups, written, late, chosen };
    for (index, &root) in ids::items(roots.len()).zip(roots) {
        choice.chosen[index] = !root && choice.suits(index);
    }
    choice.chosen
}

/// Whether an item need not be computed where it was, since all that read it do it themselves.
fn useless(items: &[Item], groups: &Groups, chosen: &[bool], roots: &[bool]) -> Vec<bool> {
    let mut useless = vec![false; items.len()];
    for index in ids::items(items.len()).rev() {
        let kept = roots[index] || is_kept(items, groups, chosen, index);
        useless[index] = !kept && groups.inside(index).all(|reader| useless[reader]);
    }
    useless
}

struct Choice<'a> {
    items: &'a [Item],
    groups: &'a Groups,
    /// Which items are state that the step overwrites, and which groups may run behind that.
    written: Vec<bool>,
    late: Vec<bool>,
    chosen: Vec<bool>,
}

impl Choice<'_> {
    fn suits(&self, index: ItemId) -> bool {
        let item = &self.items[index];
        if !self.groups.escapes(index) {
            return false;
        }
        let mut source = Source { ops: 0, large: None, reads_old: false, fits: true };
        self.trace(index, item, &mut source);
        let kept_bytes = source.large.map(|large| self.items[large].ty.bytes());
        source.fits
            && kept_bytes.is_some_and(|bytes| bytes <= item.ty.bytes())
            && self.groups.outside(index).all(|reader| {
                let group = self.groups.of_item[reader];
                let too_late = source.reads_old && group.is_none_or(|group| self.late[group]);
                let reader = &self.items[reader];
                let reads = reader.operands.iter().filter(|o| o.item == index);
                !too_late && reads.into_iter().all(|o| is_fusable_edge(self.items, o, reader))
            })
    }

    /// Follows the operands to what is in memory.
    fn trace(&self, index: ItemId, whole: &Item, source: &mut Source) {
        let item = &self.items[index];
        source.ops += 1;
        source.fits &= is_cheap(&item.kind) && source.ops <= MOST_OPS;
        if !source.fits {
            return;
        }
        for operand in &item.operands {
            let from = &self.items[operand.item];
            if is_kept(self.items, self.groups, &self.chosen, operand.item) {
                source.reads_old |= self.written[operand.item];
                source.add(operand.item, from, whole);
            } else if is_fusable_edge(self.items, operand, item) {
                self.trace(operand.item, whole, source);
            } else {
                source.fits = false;
            }
        }
    }
}

/// What a value is computed from.
struct Source {
    ops: usize,
    /// The one operand in memory that is not small.
    large: Option<ItemId>,
    /// Whether state is among it that the step overwrites.
    reads_old: bool,
    fits: bool,
}

impl Source {
    fn add(&mut self, index: ItemId, operand: &Item, whole: &Item) {
        if operand.ty.bytes() * SMALL <= whole.ty.bytes() {
            return;
        }
        // The step may have written over a state by then.
        let is_state = matches!(operand.kind, ItemKind::External(Region::State(_), _));
        self.fits &= !is_state && self.large.is_none_or(|large| large == index);
        self.large = Some(index);
    }
}

/// Whether an item has memory of its own that later kernels can read.
fn is_kept(items: &[Item], groups: &Groups, chosen: &[bool], index: ItemId) -> bool {
    !matches!(items[index].kind, ItemKind::Map(_) | ItemKind::Copy)
        || (groups.escapes(index) && !chosen[index])
}

fn is_cheap(kind: &ItemKind) -> bool {
    use Binary::{Add, Max, Min, Mul, Sub};
    match kind {
        ItemKind::Map(Op::Binary(op)) => matches!(op, Add | Sub | Mul | Max | Min),
        ItemKind::Map(Op::Unary(op)) => matches!(op, Unary::Neg | Unary::Abs | Unary::Relu),
        ItemKind::Map(Op::Compare(_) | Op::Select(_)) => true,
        _ => false,
    }
}

/// Writes the items down anew.
struct Copier<'a> {
    old: &'a [Item],
    groups: &'a Groups,
    chosen: &'a [bool],
    useless: &'a [bool],
    new: Vec<Item>,
    /// The group of each new item.
    of_item: Vec<Option<GroupId>>,
    /// The new place of each old item so far.
    places: Vec<ItemId>,
    /// Where a value is computed again, by the value and the kernel that reads it.
    again: HashMap<(ItemId, Option<GroupId>), ItemId>,
}

impl Copier<'_> {
    fn add(&mut self, index: ItemId) {
        if self.useless[index] {
            // Nobody looks for it.
            self.places.push(ItemId(usize::MAX));
            return;
        }
        let old = self.old;
        let (item, group) = (&old[index], self.groups.of_item[index]);
        let operands = item.operands.iter().map(|operand| {
            let from = operand.item;
            let again = self.chosen[from] && self.groups.of_item[from] != group;
            let item = if again { self.repeat(from, item, group) } else { self.places[from] };
            View { item, ..operand.clone() }
        });
        let operands = operands.collect();
        let mut item = Item { operands, ..item.clone() };
        if let ItemKind::Assemble { windows, .. } = &mut item.kind {
            windows.iter_mut().for_each(|window| window.item = ItemId(self.new.len()));
        }
        self.places.push(ItemId(self.new.len()));
        self.new.push(item);
        self.of_item.push(group);
    }

    /// The place of a value that is computed again for a reader.
    fn repeat(&mut self, index: ItemId, reader: &Item, group: Option<GroupId>) -> ItemId {
        if let Some(&place) = self.again.get(&(index, group)) {
            return place;
        }
        let old = self.old;
        let operands = old[index].operands.iter().map(|operand| {
            let from = operand.item;
            let kept = is_kept(old, self.groups, self.chosen, from);
            let there = kept || self.groups.of_item[from] == group;
            let item = if there { self.places[from] } else { self.repeat(from, reader, group) };
            View { item, ..operand.clone() }
        });
        let operands = operands.collect();
        let (label, phase) = (reader.label.clone(), reader.phase);
        self.new.push(Item { operands, label, phase, ..old[index].clone() });
        self.of_item.push(group);
        let place = ItemId(self.new.len() - 1);
        self.again.insert((index, group), place);
        place
    }
}
