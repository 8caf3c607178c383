//! Numbers of items and of groups, each a type of its own, so that the one does not pass for the other.

/// An item, by its place among all items of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ItemId(pub(super) usize);

/// A group of items, which becomes a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupId(pub(super) usize);

/// All of the first so many.
pub(super) fn items(count: usize) -> impl DoubleEndedIterator<Item = ItemId> + ExactSizeIterator {
    (0..count).map(ItemId)
}

/// All of the first so many.
pub(super) fn groups(count: usize) -> impl DoubleEndedIterator<Item = GroupId> + ExactSizeIterator {
    (0..count).map(GroupId)
}

/// Lists with something for each item, or for each group. What else they have is added where it is made.
macro_rules! lists {
    ($($id:ident: $($of:ty),*;)*) => {$($(
        $crate::plan::ids::lists!($id, [$of], $of);
        $crate::plan::ids::lists!($id, Vec<$of>, $of);
    )*)*};
    ($id:ident, $list:ty, $of:ty) => {
        impl std::ops::Index<$id> for $list {
            type Output = $of;

            fn index(&self, id: $id) -> &$of {
                &self[id.0]
            }
        }

        impl std::ops::IndexMut<$id> for $list {
            fn index_mut(&mut self, id: $id) -> &mut $of {
                &mut self[id.0]
            }
        }
    };
}
pub(super) use lists;

lists! {
    ItemId: bool, usize, u64, ItemId, Vec<ItemId>, Option<ItemId>, Option<GroupId>;
    GroupId: bool, usize, u64, u32, [u64; 2], Vec<ItemId>, Option<usize>;
}
