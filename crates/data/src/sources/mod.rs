//! Data sets by where they come from: embedded, files in a known format, folders of pictures.

pub(crate) mod cifar;
pub(crate) mod digits;
pub(crate) mod idx;
pub(crate) mod images;
pub(crate) mod mnist;
pub(crate) mod open;
pub(crate) mod table;

/// Which part of a data set that comes in two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The samples to learn from.
    Train,
    /// The samples that are held out.
    Test,
}

/// Divides the sets that come without a held-out part: the same seed always, so that runs compare.
pub(crate) const SPLIT_SEED: u64 = 20_240_117;
