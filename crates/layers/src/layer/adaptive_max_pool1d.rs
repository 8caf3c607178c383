//! Largest elements of as many windows as the output has elements, of sequences.

use super::adaptive_max_pool::AdaptiveMaxPool;
use crate::geometry::Single;

/// The largest elements of as many windows as the output has elements, of sequences `[c, l]`.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<Single>;
