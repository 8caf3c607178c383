//! Which items a plan does as one composite: found by what they compute, before anything is fused.

use std::collections::HashMap;

use super::ids::{self, GroupId, ItemId, lists};
use super::items::{Item, ItemKind};
use super::view::View;
use crate::ops::{ConvWindow, Op};

/// What a composite group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompositeKind {
    /// A convolution, the means of its result's channels, and their variances.
    ConvMoments,
    /// The gradients of a convolution in its input and in its weight.
    ConvGradients,
}

lists! { GroupId: Option<CompositeKind>; }

/// All composites of a step: what each is, and its items. No item is in two of them.
pub(super) fn composites(items: &[Item]) -> Vec<(CompositeKind, Vec<ItemId>)> {
    let mut taken = vec![false; items.len()];
    let moments = ids::items(items.len()).filter_map(|index| moments(items, index));
    let mut found: Vec<_> = moments.collect();
    found.extend(gradients(items));
    // Two variances of one result: the second is a kernel of its own.
    found.retain(|(_, items)| {
        let free = !items.iter().any(|&item| taken[item]);
        items.iter().for_each(|&item| taken[item] |= free);
        free
    });
    found
}

fn moments(items: &[Item], index: ItemId) -> Option<(CompositeKind, Vec<ItemId>)> {
    let Item { kind: ItemKind::Opaque(Op::Variance(_)), operands, .. } = &items[index] else {
        return None;
    };
    // `simplify` lets a variance be one where it has these; no copy may have come between them since.
    let [x, mean] = &operands[..] else { return None };
    let is_conv = matches!(items[x.item].kind, ItemKind::Opaque(Op::Conv(_)));
    let is_mean = matches!(items[mean.item].kind, ItemKind::Reduce(_))
        && items[mean.item].operands[0].item == x.item;
    let items = vec![x.item, mean.item, index];
    (is_conv && is_mean).then_some((CompositeKind::ConvMoments, items))
}

fn gradients(items: &[Item]) -> Vec<(CompositeKind, Vec<ItemId>)> {
    let mut of_inputs: HashMap<(ConvWindow, &View, &View), ItemId> = HashMap::new();
    let mut of_weights: HashMap<(ConvWindow, &View), Vec<(&View, ItemId)>> = HashMap::new();
    for (index, item) in ids::items(items.len()).zip(items) {
        match (&item.kind, &item.operands[..]) {
            (ItemKind::Opaque(Op::ConvInputGrad(op)), [dy, weight]) => {
                of_inputs.insert((op.window, weight, dy), index);
            }
            (ItemKind::Opaque(Op::ConvWeightGrad(op)), [input, dy]) => {
                of_weights.entry((op.window, input)).or_default().push((dy, index));
            }
            _ => {}
        }
    }
    let mut pairs = Vec::new();
    for item in items {
        let (ItemKind::Opaque(Op::Conv(op)), [input, weight]) = (&item.kind, &item.operands[..])
        else {
            continue;
        };
        for &(dy, of_weight) in of_weights.get(&(op.window, input)).into_iter().flatten() {
            if let Some(&of_input) = of_inputs.get(&(op.window, weight, dy)) {
                pairs.push((CompositeKind::ConvGradients, vec![of_input, of_weight]));
            }
        }
    }
    pairs
}
