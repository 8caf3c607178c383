//! Means over as many windows as the output has elements, of sequences.

use super::adaptive_avg_pool::AdaptiveAvgPool;
use crate::geometry::Single;

/// Means over as many windows as the output has elements, of sequences `[c, l]`.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<Single>;
