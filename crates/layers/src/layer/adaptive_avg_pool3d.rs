//! Means over as many windows as the output has elements, of volumes.

use super::adaptive_avg_pool::AdaptiveAvgPool;
use crate::geometry::Triple;

/// Means over as many windows as the output has elements, of volumes `[c, d, h, w]`.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<Triple>;
