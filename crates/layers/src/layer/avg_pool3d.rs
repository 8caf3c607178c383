//! Means of windows over volumes.

use super::avg_pool::AvgPool;
use crate::geometry::Triple;

/// The mean of each window over volumes `[c, d, h, w]`.
pub type AvgPool3d = AvgPool<Triple>;
