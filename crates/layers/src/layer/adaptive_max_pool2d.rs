//! Largest elements of as many windows as the output has elements, of pictures.

use super::adaptive_max_pool::AdaptiveMaxPool;
use crate::geometry::Pair;

/// The largest elements of as many windows as the output has elements, of pictures `[c, h, w]`.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<Pair>;
