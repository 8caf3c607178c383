//! Convolution, pooling and their gradients.

use onestep_engine::ops::{ConvWindow, MaxPoolGrad, Op, PoolWindow, SumPoolGrad};

use super::op::{FIRST_ORDER, op, shaped};
use crate::case::Case;
use crate::tolerance::Tolerance;

const SUMS: Tolerance = Tolerance::SUMS;

type Pair = [usize; 2];

/// The convolution and its two gradients, which are differentiated in turn.
fn conv(
    name: &str,
    stride: Pair,
    pad_low: Pair,
    pad_high: Pair,
    dilation: Pair,
    groups: usize,
) -> [Case; 3] {
    let window = ConvWindow { stride, pad_low, pad_high, dilation, groups };
    [
        op(&format!("conv{name}"), SUMS, move |g, x| g.conv(x[0], x[1], window)),
        shaped(&format!("conv_input_grad{name}"), SUMS, move |g, x, shape| {
            g.conv_input_grad(x[0], x[1], window, shape)
        }),
        shaped(&format!("conv_weight_grad{name}"), SUMS, move |g, x, shape| {
            g.conv_weight_grad(x[0], x[1], window, shape)
        }),
    ]
}

/// The two poolings and their gradients.
fn pool(
    name: &str,
    size: Pair,
    stride: Pair,
    pad_low: Pair,
    pad_high: Pair,
    dilation: Pair,
) -> [Case; 4] {
    let window = PoolWindow { size, stride, pad_low, pad_high, dilation };
    [
        // The value is exact; the gradient is a sum where windows overlap.
        op(&format!("max_pool{name}"), SUMS, move |g, x| g.max_pool(x[0], window)),
        Case::value_only(&format!("max_pool_grad{name}"), SUMS, FIRST_ORDER, move |g, x, _| {
            g.push(Op::MaxPoolGrad(MaxPoolGrad { window }), x)
        }),
        op(&format!("sum_pool{name}"), SUMS, move |g, x| g.sum_pool(x[0], window)),
        shaped(&format!("sum_pool_grad{name}"), SUMS, move |g, x, shape| {
            g.push(Op::SumPoolGrad(SumPoolGrad { window, input_shape: shape.clone() }), x)
        }),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let convolutions = [
        // stride, padding low and high, dilation, groups
        conv("", [1, 1], [0, 0], [0, 0], [1, 1], 1),
        conv("_padding", [1, 1], [1, 1], [1, 1], [1, 1], 1),
        conv("_padding_uneven", [1, 1], [0, 1], [1, 2], [1, 1], 1),
        conv("_stride", [2, 2], [1, 1], [1, 1], [1, 1], 1),
        conv("_stride_remainder", [3, 2], [0, 1], [0, 1], [1, 1], 1),
        conv("_stride_beyond_kernel", [3, 2], [0, 0], [0, 0], [1, 1], 1),
        conv("_dilation", [1, 1], [1, 0], [1, 0], [2, 3], 1),
        conv("_dilation_stride", [2, 2], [2, 2], [2, 2], [2, 2], 1),
        conv("_groups", [1, 1], [1, 1], [1, 1], [1, 1], 2),
        conv("_depthwise", [2, 2], [1, 1], [1, 1], [1, 1], 3),
        conv("_pointwise", [1, 1], [0, 0], [0, 0], [1, 1], 1),
        conv("_one_row", [1, 2], [0, 2], [0, 2], [1, 1], 1),
        conv("_whole", [1, 1], [0, 0], [0, 0], [1, 1], 1),
        conv("_channels", [1, 1], [1, 1], [1, 1], [1, 1], 1),
    ];
    let pools = [
        // size, stride, padding low and high, dilation
        pool("", [2, 2], [2, 2], [0, 0], [0, 0], [1, 1]),
        pool("_remainder", [2, 2], [2, 2], [0, 0], [0, 0], [1, 1]),
        pool("_overlap", [3, 3], [2, 2], [1, 1], [1, 1], [1, 1]),
        pool("_dense", [3, 2], [1, 1], [1, 0], [1, 0], [1, 1]),
        pool("_padding_uneven", [3, 2], [2, 2], [0, 0], [1, 1], [1, 1]),
        pool("_dilation", [2, 2], [1, 2], [0, 0], [0, 0], [2, 3]),
        pool("_beyond_kernel", [2, 2], [3, 3], [0, 0], [0, 0], [1, 1]),
        pool("_whole", [5, 4], [5, 4], [0, 0], [0, 0], [1, 1]),
    ];
    convolutions.into_iter().flatten().chain(pools.into_iter().flatten()).collect()
}
