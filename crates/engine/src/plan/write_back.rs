//! New contents of state buffers. A pass over items, before any of them are put into kernels: it decides
//! which value is computed straight into which buffer, adds a copy where none can be, and says what must
//! have read the old content by then.

use super::ids::{self, ItemId, lists};
use super::items::{Item, ItemKind, Items};
use super::view::View;
use crate::ops::Op;

/// The same step with each write of a whole item, whose kernel may compute it over the buffer once the others
/// have read that. A copy, mostly of a value in a register of the same kernel, stands for what may not.
pub(super) fn write_back(mut items: Items) -> Items {
    let mut writes = std::mem::take(&mut items.writes);
    let mut taken = vec![false; items.items.len()];
    // First those copies that read state themselves, so that they count as readers.
    for (_, view) in &mut writes {
        if matches!(items.items[view.item].kind, ItemKind::External(..)) {
            *view = copied(&mut items, view.item, view);
        }
    }
    taken.resize(items.items.len(), false);
    let last_reader = last_readers(&items.items);
    let kept = roots(&items, &writes);
    for (state, view) in &mut writes {
        let source = view.item;
        if let Some(over) = in_place(&items.items, *state, view, &last_reader, &kept)
            && !taken[source]
        {
            taken[source] = true;
            items.over.extend(over);
            continue;
        }
        let in_time = last_reader[*state].is_none_or(|reader| reader <= source);
        if taken[source] || !in_time || !can_write_over(&items.items, *state, view) {
            *view = copied(&mut items, *state, view);
        } else {
            taken[source] = true;
        }
    }
    items.writes = writes;
    items
}

/// A copy of a view at the end of all items, with the label of `like`.
fn copied(items: &mut Items, like: ItemId, view: &View) -> View {
    let label = items.items[like].label.clone();
    View::whole(items.push_copy(view, &label), &view.shape)
}

/// Whether each item must be there when the step is over.
fn roots(items: &Items, writes: &[(ItemId, View)]) -> Vec<bool> {
    let mut roots = vec![false; items.items.len()];
    let named = items.reports.iter().chain(&items.outputs).map(|(_, view)| view);
    writes.iter().map(|(_, view)| view).chain(named).for_each(|view| roots[view.item] = true);
    roots
}

/// How a new content comes to be in its buffer by changes of some rows of what is there: each operand that is
/// overwritten with the item that does so, the last of them first. `None` where it does not.
fn in_place(
    items: &[Item],
    state: ItemId,
    view: &View,
    last_reader: &[Option<ItemId>],
    kept: &[bool],
) -> Option<Vec<(ItemId, ItemId)>> {
    let elements = items[state].ty.shape.elements();
    let (mut over, mut writer) = (Vec::new(), view.item);
    if !view.is_whole(elements) {
        return None;
    }
    while let ItemKind::Opaque(Op::SetRows(_)) = items[writer].kind {
        let table = &items[writer].operands[0];
        let others = &items[writer].operands[1..];
        let last = last_reader[table.item] == Some(writer)
            && others.iter().all(|other| other.item != table.item);
        if !last || !table.is_whole(elements) {
            return None;
        }
        over.push((table.item, writer));
        if table.item == state {
            return Some(over);
        }
        if kept[table.item] {
            return None;
        }
        writer = table.item;
    }
    // What the rows are set in is computed over the buffer first.
    let whole = View::whole(writer, &items[writer].ty.shape);
    let in_time = last_reader[state].is_none_or(|reader| reader <= writer);
    let computed = !over.is_empty() && in_time && can_write_over(items, state, &whole);
    over.push((state, writer));
    computed.then_some(over)
}

/// The last item that reads each. What comes behind it in the order of items cannot be needed by any of them.
fn last_readers(items: &[Item]) -> Vec<Option<ItemId>> {
    let mut last: Vec<Option<ItemId>> = vec![None; items.len()];
    for (index, item) in ids::items(items.len()).zip(items) {
        item.operands.iter().for_each(|operand| last[operand.item] = Some(index));
    }
    last
}

/// Whether an item may be computed over a state buffer: all of it, and reading that buffer element by element
/// or not at all.
fn can_write_over(items: &[Item], state: ItemId, view: &View) -> bool {
    let source = &items[view.item];
    source.is_computed()
        && !matches!(source.kind, ItemKind::Assemble { .. })
        && source.ty.dtype == items[state].ty.dtype
        && view.is_whole(source.ty.shape.elements())
        && reads_in_step(items, state, view.item, view.item)
}

/// Whether an item reads a state buffer, if at all, element by element as `writer` computes its new content:
/// in one kernel each element is read before it is overwritten.
fn reads_in_step(items: &[Item], state: ItemId, reader: ItemId, writer: ItemId) -> bool {
    let elements = items[state].ty.shape.elements();
    let writer = &items[writer];
    let is_store = matches!(writer.kind, ItemKind::Map(_) | ItemKind::Copy);
    let reads = items[reader].operands.iter().filter(|operand| operand.item == state);
    reads
        .into_iter()
        .all(|operand| is_store && operand.is_whole(elements) && &operand.shape == writer.domain())
}

/// That an item reads what another one overwrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadBefore {
    pub(super) writer: ItemId,
    /// Whether both may be in one kernel.
    pub(super) in_step: bool,
}

lists! { ItemId: Vec<ReadBefore>; }

/// For each item what must run behind it, since it overwrites what the item reads.
pub(super) fn read_before(items: &Items) -> Vec<Vec<ReadBefore>> {
    let mut writer_of: Vec<Option<ItemId>> = vec![None; items.items.len()];
    items.writes.iter().for_each(|(state, view)| writer_of[*state] = Some(view.item));
    items.over.iter().for_each(|(old, new)| writer_of[*old] = Some(*new));
    let of_item = |(index, item): (ItemId, &Item)| {
        let mut all: Vec<ReadBefore> = Vec::new();
        for operand in &item.operands {
            let Some(writer) = writer_of[operand.item].filter(|&writer| writer != index) else {
                continue;
            };
            if !all.iter().any(|known| known.writer == writer) {
                let in_step = reads_in_step(&items.items, operand.item, index, writer);
                all.push(ReadBefore { writer, in_step });
            }
        }
        all
    };
    ids::items(items.items.len()).zip(&items.items).map(of_item).collect()
}
