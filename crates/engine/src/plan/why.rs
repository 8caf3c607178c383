//! Why two kernels are not one: for each value that passes between kernels, the rule that keeps apart what
//! computes it and what reads it.

use std::fmt;

use super::fuse::{Groups, MAX_MEMBERS, is_fusable_edge};
use super::ids::{GroupId, ItemId};
use super::items::{Item, ItemKind, Items};
use super::view::View;

/// A value that a kernel reads from memory, since it is not part of the kernel that computes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmerged {
    /// The kernel that computes it, by its position in the plan.
    pub from: usize,
    /// What computes it: the name of a layer or op.
    pub value: String,
    /// The rule.
    pub reason: Reason,
}

/// Why two kernels are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The value is a reduction's, which is there when all of its operand was seen.
    Reduction,
    /// What computes it is no elementwise function.
    Producer(&'static str),
    /// What reads it is no elementwise function.
    Consumer(&'static str),
    /// The value is put together of others.
    Assembled,
    /// It is read in another order than it is computed: repeated, transposed or in part.
    OtherOrder,
    /// The two go over different iteration spaces.
    OtherDomain,
    /// One overwrites state that the other reads, and not element by element.
    Overwrites,
    /// Together they would have more instructions than one kernel gains by.
    TooLong,
    /// Another kernel needs the one and is needed by the other.
    Between,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Reduction => f.write_str("a reduction is known only when all was seen"),
            Reason::Producer(op) => write!(f, "{op} computes it, a kernel of its own"),
            Reason::Consumer(op) => write!(f, "{op} reads it, a kernel of its own"),
            Reason::Assembled => f.write_str("it is put together of several values"),
            Reason::OtherOrder => f.write_str("it is read in another order than computed"),
            Reason::OtherDomain => f.write_str("the two run over different shapes"),
            Reason::Overwrites => f.write_str("one overwrites state that the other reads"),
            Reason::TooLong => write!(f, "they would have more than {MAX_MEMBERS} instructions"),
            Reason::Between => f.write_str("another kernel must run between them"),
        }
    }
}

/// What was not merged into the kernel of a group. `kernel_of` has the kernel that computes the values of each
/// group.
pub(super) fn unmerged(
    items: &Items,
    groups: &Groups,
    group: GroupId,
    kernel_of: &[Option<usize>],
) -> Vec<Unmerged> {
    let mut found: Vec<(ItemId, Unmerged)> = Vec::new();
    for &member in &groups.members[group] {
        let reader = &items.items[member];
        for operand in &reader.operands {
            let from = groups.of_item[operand.item].filter(|&from| from != group);
            let Some((from, kernel)) = from.and_then(|from| Some((from, kernel_of[from]?))) else {
                continue;
            };
            let own = of_value(items, operand, reader);
            match found.iter_mut().find(|(item, _)| *item == operand.item) {
                // It is read in several ways.
                Some((_, known)) => known.reason = own.unwrap_or(known.reason),
                None => {
                    let reason = own.unwrap_or_else(|| of_groups(items, groups, from, group));
                    let value = items.items[operand.item].label.clone();
                    found.push((operand.item, Unmerged { from: kernel, value, reason }));
                }
            }
        }
    }
    found.into_iter().map(|(_, unmerged)| unmerged).collect()
}

/// Why a value cannot be handed over in a register, if it cannot.
fn of_value(items: &Items, operand: &View, reader: &Item) -> Option<Reason> {
    let producer = &items.items[operand.item];
    let whole =
        operand.shape == producer.ty.shape && operand.is_whole(producer.ty.shape.elements());
    match (&producer.kind, &reader.kind) {
        (ItemKind::Reduce(_), _) => Some(Reason::Reduction),
        (ItemKind::Opaque(op), _) => Some(Reason::Producer(op.name())),
        (_, ItemKind::Opaque(op)) => Some(Reason::Consumer(op.name())),
        (ItemKind::Assemble { .. }, _) | (_, ItemKind::Assemble { .. }) => Some(Reason::Assembled),
        _ if !whole => Some(Reason::OtherOrder),
        _ if !is_fusable_edge(&items.items, operand, reader) => Some(Reason::OtherDomain),
        _ => None,
    }
}

/// Why two groups are apart although a value could be handed over: because of another value, or of what is
/// around them.
fn of_groups(items: &Items, groups: &Groups, from: GroupId, to: GroupId) -> Reason {
    let members = groups.members[to].iter().map(|&member| &items.items[member]);
    let mut edges = members.flat_map(|reader| reader.operands.iter().map(move |o| (o, reader)));
    let other = edges.find_map(|(operand, reader)| {
        let is_between = groups.of_item[operand.item] == Some(from);
        if is_between { of_value(items, operand, reader) } else { None }
    });
    if let Some(reason) = other {
        return reason;
    }
    if groups.overwrites_what_is_read(from, to) {
        return Reason::Overwrites;
    }
    match groups.members[from].len() + groups.members[to].len() {
        long if long > MAX_MEMBERS => Reason::TooLong,
        _ => Reason::Between,
    }
}
