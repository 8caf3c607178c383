//! Convolutions over sequences.

use super::conv::Conv;
use crate::geometry::Single;

/// A convolution over sequences `[c, l]`.
pub type Conv1d = Conv<Single>;
