//! Largest elements of as many windows as the output has elements, of volumes.

use super::adaptive_max_pool::AdaptiveMaxPool;
use crate::geometry::Triple;

/// The largest elements of as many windows as the output has elements, of volumes `[c, d, h, w]`.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<Triple>;
