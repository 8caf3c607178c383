//! Convolutions over pictures.

use super::conv::Conv;
use crate::geometry::Pair;

/// A convolution over pictures `[c, h, w]`.
pub type Conv2d = Conv<Pair>;
