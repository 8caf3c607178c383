//! How ops are drawn.

use onestep_engine::ops::{Binary, ConvWindow, PoolWindow, ReduceKind, Unary};
use proptest::prelude::*;

use super::{Draw, GraphStep};

/// Every kind of op with small random shapes.
pub fn draws() -> impl Strategy<Value = Draw> {
    prop_oneof![
        3 => elementwise(),
        3 => movement(),
        3 => linear(),
        3 => windows(),
        2 => along(),
        2 => graph(),
    ]
}

/// A shape of rank 0 to 4.
fn dims() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5, 0..5)
}

/// A shape of rank 1 to 4 with one value for each axis.
fn dims_with<T: std::fmt::Debug>(
    each: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = (Vec<usize>, Vec<T>)> {
    prop::collection::vec((1usize..5, each), 1..5).prop_map(|pairs| pairs.into_iter().unzip())
}

fn elementwise() -> impl Strategy<Value = Draw> {
    let flags = (any::<bool>(), any::<bool>());
    prop_oneof![
        (prop::sample::select(&Unary::ALL[..]), dims()).prop_map(|(op, d)| Draw::Unary(op, d)),
        (prop::sample::select(&Binary::ALL[..]), dims_with(flags))
            .prop_map(|(op, (d, f))| Draw::Binary(op, d, f)),
        dims().prop_map(Draw::Select),
    ]
}

fn movement() -> impl Strategy<Value = Draw> {
    let kinds = [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min];
    let kinds = prop::sample::select(kinds.to_vec());
    prop_oneof![
        (kinds, dims_with(any::<bool>())).prop_map(|(k, (d, f))| Draw::Reduce(k, d, f)),
        dims().prop_map(Draw::Flatten),
        dims_with(any::<u16>()).prop_map(|(d, keys)| {
            let mut axes: Vec<usize> = (0..d.len()).collect();
            axes.sort_by_key(|&axis| keys[axis]);
            Draw::Permute(d, axes)
        }),
        dims_with((0usize..4, 1usize..5)).prop_map(|(d, parts)| {
            let fit = |(&size, (start, length)): (&usize, (usize, usize))| {
                let start = start % size;
                (start, start + 1 + length % (size - start))
            };
            let ranges = d.iter().zip(parts).map(fit).collect();
            Draw::Slice(d, ranges)
        }),
        (dims_with(Just(())), any::<usize>(), prop::collection::vec(1usize..4, 1..4))
            .prop_map(|((d, _), axis, sizes)| Draw::Concat(d.clone(), axis % d.len(), sizes)),
        dims_with((0usize..3, 0usize..3)).prop_map(|(d, widths)| Draw::Pad(d, widths)),
    ]
}

fn linear() -> impl Strategy<Value = Draw> {
    let batch = prop::collection::vec(1usize..3, 0..3);
    prop_oneof![
        (batch, prop::array::uniform3(1usize..6), any::<bool>(), any::<bool>())
            .prop_map(|(batch, sizes, a, b)| Draw::MatMul(batch, sizes, a, b)),
        (any::<bool>(), dims_with(Just(())), any::<usize>())
            .prop_map(|(soft, (d, _), axis)| Draw::Softmax(soft, d.clone(), axis % d.len())),
        (1usize..5, 1usize..6, 0u8..8).prop_map(|(n, c, e)| Draw::CrossEntropy(n, c, e)),
        (1usize..6, 1usize..4, 1usize..6).prop_map(|(r, w, n)| Draw::Gather(r, w, n)),
        (1usize..6, 1usize..4, 1usize..6).prop_map(|(r, w, n)| Draw::ScatterAdd(r, w, n)),
    ]
}

/// What works along one axis.
fn along() -> impl Strategy<Value = Draw> {
    let at = || {
        (dims_with(Just(())), any::<usize>()).prop_map(|((dims, _), axis)| {
            let axis = axis % dims.len();
            (dims, axis)
        })
    };
    let keys = prop::collection::vec(any::<u8>(), 1..40);
    prop_oneof![
        (at(), 1usize..6).prop_map(|((d, axis), k)| Draw::GatherAlong(d, axis, k)),
        (at(), 1usize..6).prop_map(|((d, axis), size)| Draw::ScatterAlong(d, axis, size)),
        (at(), any::<bool>()).prop_map(|((d, axis), back)| Draw::CumSum(d, axis, back)),
        (at(), any::<bool>()).prop_map(|((d, axis), down)| Draw::Sort(d, axis, down)),
        (at(), any::<usize>()).prop_map(|((d, axis), k)| {
            let k = 1 + k % d[axis];
            Draw::TopK(d, axis, k)
        }),
        (at(), any::<bool>(), keys)
            .prop_map(|((d, axis), down, keys)| Draw::SortBy(d, axis, down, keys)),
    ]
}

fn graph() -> impl Strategy<Value = Draw> {
    let step = (any::<u8>(), 0usize..4, 0usize..6);
    let step = step.prop_map(|(kind, x, y)| GraphStep { kind: kind.into(), x, y });
    (prop::array::uniform2(1usize..9), prop::collection::vec(step, 1..16))
        .prop_map(|(dims, steps)| Draw::Graph(dims, steps))
}

/// One axis of a window: kernel, stride, dilation, padding low and high, and how much larger than
/// the kernel the padded input is.
fn axis() -> impl Strategy<Value = [usize; 6]> {
    (1usize..4, 1usize..4, 1usize..4, 0usize..3, 0usize..3, 0usize..5).prop_map(Into::into)
}

/// The input size along an axis: at least 1, and large enough for the kernel.
fn input_size([kernel, _, dilation, low, high, extra]: [usize; 6]) -> usize {
    let extent = dilation * (kernel - 1) + 1;
    (extent.saturating_sub(low + high) + extra).max(1)
}

fn windows() -> impl Strategy<Value = Draw> {
    let conv = (axis(), axis(), prop::array::uniform3(1usize..4), 1usize..4);
    let pool = (any::<bool>(), axis(), axis(), prop::array::uniform2(1usize..3));
    prop_oneof![
        conv.prop_map(|(a, b, [n, c, o], groups)| {
            let window = ConvWindow {
                stride: [a[1], b[1]],
                dilation: [a[2], b[2]],
                pad_low: [a[3], b[3]],
                pad_high: [a[4], b[4]],
                groups,
            };
            Draw::Conv([n, c, o, input_size(a), input_size(b)], [a[0], b[0]], window)
        }),
        pool.prop_map(|(largest, a, b, [n, c])| {
            let (a, b) = (real_windows(a), real_windows(b));
            let window = PoolWindow {
                size: [a[0], b[0]],
                stride: [a[1], b[1]],
                dilation: [a[2], b[2]],
                pad_low: [a[3], b[3]],
                pad_high: [a[4], b[4]],
            };
            Draw::Pool(largest, [n, c, input_size(a), input_size(b)], window)
        }),
    ]
}

/// A pooling axis on which every window holds at least one element of the input: padding below
/// the kernel's reach and no dilation. The maximum of nothing is no number.
fn real_windows([kernel, stride, _, low, high, extra]: [usize; 6]) -> [usize; 6] {
    let most = kernel - 1;
    [kernel, stride, 1, low.min(most), high.min(most), extra + kernel]
}
