//! Views: how a value reads the buffer of another without moving an element.

use onestep_memory::{MAX_RANK, Shape};

use super::ids::ItemId;
use crate::ops::{Broadcast, Permute, Slice};

/// A strided window on the contiguous buffer of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The item whose buffer it looks at.
    pub(super) item: ItemId,
    /// Elements before the first.
    pub(super) offset: usize,
    pub(super) shape: Shape,
    pub(super) strides: [usize; MAX_RANK],
}

impl View {
    /// The whole of an item.
    pub(super) fn whole(item: ItemId, shape: &Shape) -> Self {
        let mut strides = [0; MAX_RANK];
        strides[..shape.rank()].copy_from_slice(&shape.strides());
        View { item, offset: 0, shape: shape.clone(), strides }
    }

    pub(super) fn is_contiguous(&self) -> bool {
        is_contiguous(&self.shape, &self.strides)
    }

    /// Whether it shows every element of an item of `elements` once, in order.
    pub(super) fn is_whole(&self, elements: usize) -> bool {
        self.offset == 0 && self.shape.elements() == elements && self.is_contiguous()
    }

    pub(super) fn permuted(&self, permute: &Permute, shape: &Shape) -> Self {
        let mut strides = [0; MAX_RANK];
        for (to, &from) in permute.axes.iter().enumerate() {
            strides[to] = self.strides[from];
        }
        View { shape: shape.clone(), strides, ..*self }
    }

    pub(super) fn broadcast(&self, broadcast: &Broadcast) -> Self {
        let shape = broadcast.shape.clone();
        let missing = shape.rank() - self.shape.rank();
        let mut strides = [0; MAX_RANK];
        for (axis, &dim) in self.shape.dims().iter().enumerate() {
            let repeats = dim == 1 && shape.dims()[missing + axis] != 1;
            strides[missing + axis] = if repeats { 0 } else { self.strides[axis] };
        }
        View { shape, strides, ..*self }
    }

    pub(super) fn sliced(&self, slice: &Slice, shape: &Shape) -> Self {
        let skipped: usize = slice.start.iter().zip(&self.strides).map(|(s, st)| s * st).sum();
        let offset = if shape.elements() == 0 { self.offset } else { self.offset + skipped };
        View { offset, shape: shape.clone(), ..*self }
    }

    /// The same elements in the same order under another shape, where strides can say so: each
    /// run of old axes that is contiguous in itself is split into new axes.
    pub(super) fn reshaped(&self, shape: &Shape) -> Option<Self> {
        if self.is_contiguous() {
            let offset = self.offset;
            return Some(View { offset, ..View::whole(self.item, shape) });
        }
        let old: Vec<(usize, usize)> = self.axes().filter(|&(dim, _)| dim != 1).collect();
        let (mut strides, new) = ([0; MAX_RANK], shape.dims());
        let (mut from, mut to) = (0, 0);
        while from < old.len() {
            // Grow both sides until they count the same elements.
            let (first_old, first_new) = (from, to);
            let mut old_count = old[from].0;
            from += 1;
            let mut new_count = 1;
            while new_count != old_count {
                if new_count < old_count {
                    new_count *= new.get(to)?;
                    to += 1;
                } else {
                    old_count *= old.get(from)?.0;
                    from += 1;
                }
            }
            let run = &old[first_old..from];
            if !run.windows(2).all(|w| w[0].1 == w[1].0 * w[1].1) {
                return None;
            }
            let mut stride = run.last()?.1;
            for axis in (first_new..to).rev() {
                strides[axis] = stride;
                stride *= new[axis];
            }
        }
        Some(View { shape: shape.clone(), strides, ..*self })
    }

    fn axes(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.shape.dims().iter().copied().zip(self.strides.iter().copied())
    }
}

/// Whether elements lie in row-major order without gaps. Axes of size 1 do not count.
pub(super) fn is_contiguous(shape: &Shape, strides: &[usize; MAX_RANK]) -> bool {
    let wanted = shape.strides();
    let axes = shape.dims().iter().zip(strides.iter().zip(wanted.iter()));
    shape.elements() == 0 || axes.into_iter().all(|(&d, (s, w))| d == 1 || s == w)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    /// The buffer positions a view shows, in order.
    fn positions(view: &View) -> Vec<usize> {
        let mut all = Vec::new();
        crate::array::for_each_index(view.shape.dims(), |index| {
            let at: usize = index.iter().zip(&view.strides).map(|(i, s)| i * s).sum();
            all.push(view.offset + at);
        });
        all
    }

    #[test]
    fn a_permuted_view_reshapes_where_runs_allow() {
        let whole = View::whole(ItemId(0), &shape(&[2, 3, 4, 5]));
        let axes = vec![1, 0, 2, 3];
        let permuted = whole.permuted(&Permute { axes }, &shape(&[3, 2, 4, 5]));
        let merged = permuted.reshaped(&shape(&[3, 2, 20])).unwrap();
        assert_eq!(positions(&merged), positions(&permuted));
        let split = permuted.reshaped(&shape(&[3, 1, 2, 2, 2, 5])).unwrap();
        assert_eq!(positions(&split), positions(&permuted));
        assert!(permuted.reshaped(&shape(&[6, 20])).is_none(), "3 and 2 do not lie in one run");
    }

    #[test]
    fn a_broadcast_view_reshapes_its_repeated_axes() {
        let whole = View::whole(ItemId(0), &shape(&[1, 4]));
        let repeated = whole.broadcast(&Broadcast { shape: shape(&[6, 4]) });
        let split = repeated.reshaped(&shape(&[2, 3, 4])).unwrap();
        assert_eq!(positions(&split), positions(&repeated));
        assert!(repeated.reshaped(&shape(&[24])).is_none());
    }

    #[test]
    fn a_slice_of_rows_is_contiguous_and_one_of_columns_is_not() {
        let whole = View::whole(ItemId(0), &shape(&[4, 6]));
        let rows = Slice { start: vec![1, 0], end: vec![3, 6] };
        let rows = whole.sliced(&rows, &shape(&[2, 6]));
        assert!(rows.is_contiguous() && !rows.is_whole(24));
        assert_eq!(positions(&rows), (6..18).collect::<Vec<_>>());
        let columns = Slice { start: vec![0, 2], end: vec![4, 4] };
        assert!(!whole.sliced(&columns, &shape(&[4, 2])).is_contiguous());
    }
}
