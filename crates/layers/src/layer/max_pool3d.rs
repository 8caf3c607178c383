//! Largest elements of windows over volumes.

use super::max_pool::MaxPool;
use crate::geometry::Triple;

/// The largest element of each window over volumes `[c, d, h, w]`.
pub type MaxPool3d = MaxPool<Triple>;
