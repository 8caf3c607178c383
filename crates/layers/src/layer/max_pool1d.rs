//! Largest elements of windows over sequences.

use super::max_pool::MaxPool;
use crate::geometry::Single;

/// The largest element of each window over sequences `[c, l]`.
pub type MaxPool1d = MaxPool<Single>;
