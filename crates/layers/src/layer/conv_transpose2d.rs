//! Transposed convolutions over pictures.

use super::conv_transpose::ConvTranspose;
use crate::geometry::Pair;

/// A transposed convolution over pictures `[c, h, w]`.
pub type ConvTranspose2d = ConvTranspose<Pair>;
