//! Largest elements of windows over pictures.

use super::max_pool::MaxPool;
use crate::geometry::Pair;

/// The largest element of each window over pictures `[c, h, w]`.
pub type MaxPool2d = MaxPool<Pair>;
