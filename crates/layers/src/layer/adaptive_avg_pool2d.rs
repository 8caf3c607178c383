//! Means over as many windows as the output has elements, of pictures.

use super::adaptive_avg_pool::AdaptiveAvgPool;
use crate::geometry::Pair;

/// Means over as many windows as the output has elements, of pictures `[c, h, w]`.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<Pair>;
