//! Convolutions over volumes.

use super::conv::Conv;
use crate::geometry::Triple;

/// A convolution over volumes `[c, d, h, w]`.
pub type Conv3d = Conv<Triple>;
