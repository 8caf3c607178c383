//! Means of windows over pictures.

use super::avg_pool::AvgPool;
use crate::geometry::Pair;

/// The mean of each window over pictures `[c, h, w]`.
pub type AvgPool2d = AvgPool<Pair>;
