//! Transposed convolutions over volumes.

use super::conv_transpose::ConvTranspose;
use crate::geometry::Triple;

/// A transposed convolution over volumes `[c, d, h, w]`.
pub type ConvTranspose3d = ConvTranspose<Triple>;
