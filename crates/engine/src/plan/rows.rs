//! Rows: elementwise items over `[a, b, c]` that pass values to others over `[a b, c]`, as around a dense layer
//! over positions, are counted as those are. They mean the same, and can share a kernel.

use std::collections::HashSet;

use onestep_memory::Shape;

use super::items::{Item, ItemKind, Items};
use super::view::View;

/// The same items, with those over positions as rows where others are.
pub(super) fn as_rows(mut items: Items) -> Items {
    let wanted = wanted(&items.items);
    if !wanted.is_empty() {
        for item in &mut items.items {
            if let Some(rows) = in_rows(item, &wanted) {
                *item = rows;
            }
        }
    }
    items
}

/// The rows of more axes.
fn rows_of(shape: &Shape) -> Option<[usize; 2]> {
    match *shape.dims() {
        [ref leading @ .., last] if leading.len() > 1 => Some([leading.iter().product(), last]),
        _ => None,
    }
}

/// The rows that items have which pass values to such of more axes, or take them from there.
fn wanted(items: &[Item]) -> HashSet<[usize; 2]> {
    let mut wanted = HashSet::new();
    for item in items.iter().filter(|item| item.is_fusable()) {
        for operand in &item.operands {
            let from = &items[operand.item.0];
            let is_map = matches!(from.kind, ItemKind::Map(_) | ItemKind::Copy);
            if !is_map || !operand.is_whole(from.ty.shape.elements()) {
                continue;
            }
            let pair = [&from.ty.shape, item.domain()];
            for (rows, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                if let (&[_, _], Some(dims)) = (rows.dims(), rows_of(other))
                    && rows.dims() == dims
                {
                    wanted.insert(dims);
                }
            }
        }
    }
    wanted
}

/// An item over rows, if its operands can be read so.
fn in_rows(item: &Item, wanted: &HashSet<[usize; 2]>) -> Option<Item> {
    if !item.is_fusable() {
        return None;
    }
    let domain = item.domain();
    let dims = rows_of(domain).filter(|dims| wanted.contains(dims))?;
    let shape = Shape::new(&dims).ok()?;
    let operands = item.operands.iter().map(|operand| operand.reshaped(&shape));
    let operands: Vec<View> = operands.collect::<Option<_>>()?;
    let mut ty = item.ty.clone();
    ty.shape = match item.kind {
        ItemKind::Reduce(_) => kept_rows(domain.dims(), item.ty.shape.dims(), dims)?,
        _ => shape,
    };
    Some(Item { ty, operands, ..item.clone() })
}

/// What a reduction leaves of rows: it must take all axes that are counted as one, or none.
fn kept_rows(domain: &[usize], kept: &[usize], [rows, _]: [usize; 2]) -> Option<Shape> {
    let (last, leading) = kept.split_last()?;
    let rows = match leading.iter().product() {
        1 => 1,
        _ if leading == &domain[..leading.len()] => rows,
        _ => return None,
    };
    Shape::new(&[rows, *last]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_takes_all_leading_axes_or_none() {
        let kept =
            |kept: &[usize]| kept_rows(&[2, 3, 4], kept, [6, 4]).map(|shape| shape.dims().to_vec());
        assert_eq!(kept(&[2, 3, 1]), Some(vec![6, 1]));
        assert_eq!(kept(&[1, 1, 4]), Some(vec![1, 4]));
        assert_eq!(kept(&[1, 1, 1]), Some(vec![1, 1]));
        assert_eq!(kept(&[2, 1, 4]), None);
        assert_eq!(kept(&[1, 3, 4]), None);
    }
}
