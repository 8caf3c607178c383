//! Means of windows over sequences.

use super::avg_pool::AvgPool;
use crate::geometry::Single;

/// The mean of each window over sequences `[c, l]`.
pub type AvgPool1d = AvgPool<Single>;
