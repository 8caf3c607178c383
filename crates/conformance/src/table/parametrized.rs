//! Weights that are made of what is learned.

use super::layers::layer;
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

pub(super) fn cases() -> Vec<Case> {
    vec![
        layer("weight_norm_dense", SUMS),
        layer("weight_norm_conv1d", SUMS),
        layer("weight_norm_conv2d", SUMS),
        layer("weight_norm_conv3d", SUMS),
        layer("weight_norm_conv_transpose2d", SUMS),
        layer("weight_norm_dense_dim", SUMS),
        layer("weight_norm_dense_whole", SUMS),
        layer("drop_connect_dense_eval", SUMS),
        layer("drop_connect_dense_nothing", SUMS),
        layer("weight_norm_conv2d_dim", SUMS),
        layer("weight_norm_conv2d_whole", SUMS),
        layer("drop_connect_conv2d_eval", SUMS),
        layer("drop_connect_conv2d_nothing", SUMS),
        layer("weight_norm_conv_transpose2d_dim", SUMS),
        layer("weight_norm_conv_transpose2d_whole", SUMS),
        layer("drop_connect_conv_transpose2d_eval", SUMS),
        layer("drop_connect_conv_transpose2d_nothing", SUMS),
    ]
}
