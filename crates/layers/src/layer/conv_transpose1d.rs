//! Transposed convolutions over sequences.

use super::conv_transpose::ConvTranspose;
use crate::geometry::Single;

/// A transposed convolution over sequences `[c, l]`.
pub type ConvTranspose1d = ConvTranspose<Single>;
