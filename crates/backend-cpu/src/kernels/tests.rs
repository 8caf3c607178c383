//! Ops against the engine's f64 evaluation, on each level and several threads.

use onestep_engine::ops::*;
use onestep_engine::{DType, Shape};
use proptest::prelude::*;

use crate::machine::Machine;
use crate::testing::{Memory, check_op, each_way, numbers};

fn f32s(memory: &mut Memory, dims: &[usize], seed: u64) -> onestep_engine::plan::Place {
    memory.push_f32(dims, &numbers(dims.iter().product(), seed))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn matrix_products(
        (m, n, k) in prop_oneof![(0usize..70, 0usize..120, 0usize..40), (1usize..9, 1usize..60, 380usize..800)],
        batch in 1usize..4,
        transpose_a: bool,
        transpose_b: bool,
    ) {
        let mut memory = Memory::default();
        let a = f32s(&mut memory, &if transpose_a { [batch, k, m] } else { [batch, m, k] }, 1);
        let b = f32s(&mut memory, &if transpose_b { [batch, n, k] } else { [batch, k, n] }, 2);
        let op = Op::MatMul(MatMul { transpose_a, transpose_b });
        check_op(&mut memory, &op, &[a, b], &[batch, m, n], DType::F32);
    }
}

fn check_product(sizes: (usize, usize, usize), transpose_a: bool, transpose_b: bool) {
    check_products(2, sizes, transpose_a, transpose_b);
}

fn check_products(
    batch: usize,
    (m, n, k): (usize, usize, usize),
    transpose_a: bool,
    transpose_b: bool,
) {
    let mut memory = Memory::default();
    let a = f32s(&mut memory, &if transpose_a { [batch, k, m] } else { [batch, m, k] }, 1);
    let b = f32s(&mut memory, &if transpose_b { [batch, n, k] } else { [batch, k, n] }, 2);
    let op = Op::MatMul(MatMul { transpose_a, transpose_b });
    check_op(&mut memory, &op, &[a, b], &[batch, m, n], DType::F32);
}

/// Products of few rows, or of few columns, whose operands are contiguous along the inner index:
/// whole tiles and parts of them, whole vectors and parts of them, one block and several.
#[test]
fn thin_products() {
    for (thin, wide, k) in [(1, 1, 32), (1, 50, 37), (4, 6, 64), (5, 23, 129), (16, 13, 131)] {
        check_product((thin, wide, k), false, true);
        check_product((wide, thin, k), false, true);
    }
    check_product((64, 7, 2 * 1024 + 35), false, true);
    check_product((3, 64, 2 * 1024 + 35), false, true);
}

/// Few rows times a large matrix that lies row by row, on all sides of what takes that way.
#[test]
fn few_rows() {
    for (m, n, k) in [(1, 16, 32), (1, 48, 500), (3, 64, 97), (13, 80, 1001), (32, 16, 1024)] {
        check_products(1, (m, n, k), false, false);
        check_products(1, (m, n, k), true, false);
        check_products(1, (m, n - 1, k), false, false);
    }
}

/// Few rows times a large matrix that lies column by column, on all sides of what takes that way.
#[test]
fn few_rows_turned_over() {
    let sizes =
        [(3, 40, 39), (4, 8, 31), (16, 300, 32), (17, 35, 40), (50, 128, 37), (64, 129, 512)];
    for size in sizes.into_iter().chain([(65, 130, 35), (10, 20, 513)]) {
        check_products(1, size, false, true);
        check_products(1, size, true, true);
    }
}

/// More columns, and more rows, than are packed in one run.
#[test]
fn wide_products() {
    for (m, n) in [(17, 900), (900, 17)] {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true)] {
            check_product((m, n, 19), transpose_a, transpose_b);
        }
    }
}

/// An operand may be a view: here the left one is every second column of a wider matrix, stored
/// column by column, and the right one is the same for all products.
#[test]
fn products_of_views() {
    let (m, n, k) = (13, 50, 21);
    let mut memory = Memory::default();
    let wide = f32s(&mut memory, &[3, 2 * k, m], 1);
    let mut a = wide.clone();
    a.shape = Shape::from([3, m, k]);
    a.strides[..3].copy_from_slice(&[2 * k * m, 1, 2 * m]);
    let one = f32s(&mut memory, &[k, n], 2);
    let mut b = one.clone();
    b.shape = Shape::from([3, k, n]);
    b.strides[..3].copy_from_slice(&[0, n, 1]);
    let c = memory.room(&[3, m, n], DType::F32);
    let op = Op::MatMul(MatMul::default());
    let (x, y) = (memory.f32s(&wide), memory.f32s(&one));
    let inputs = [a, b];
    let make = |threads, level| {
        let regions = crate::cpu_kernel::Regions::new(0, 0, 0);
        super::lower(&op, &inputs, &c, regions, Machine { threads, level })
    };
    each_way(&memory, make, |after, way| {
        for (i, got) in after.f32s(&c).into_iter().enumerate() {
            let (batch, row, column) = (i / (m * n), i / n % m, i % n);
            let want: f64 = (0..k)
                .map(|k2| {
                    let left = x[(batch * 2 * k + 2 * k2) * m + row];
                    f64::from(left) * f64::from(y[k2 * n + column])
                })
                .sum();
            assert!((f64::from(got) - want).abs() < 1e-5, "{way}: {got} for {want}");
        }
    });
}

/// Everything that shapes a convolution.
fn convolutions() -> impl Strategy<Value = (ConvWindow, [usize; 4], [usize; 4])> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let window = (pair(1..4), pair(0..4), pair(0..4), pair(1..3), 1usize..4);
    // More input channels than lanes take another path to the weight.
    let channels = prop_oneof![3 => 1usize..4, 1 => 14usize..36];
    let sizes = (1usize..5, channels, 1usize..11, pair(1..24), pair(1..5));
    (window, sizes)
        .prop_map(|((stride, pad_low, pad_high, dilation, groups), sizes)| {
            let (batch, c, o, input, kernel) = sizes;
            let window = ConvWindow { stride, pad_low, pad_high, dilation, groups };
            let x = [batch, c * groups, input[0], input[1]];
            (window, x, [o * groups, c, kernel[0], kernel[1]])
        })
        .prop_filter("the kernel fits", |(window, x, w)| output(window, x, w).is_some())
}

/// Convolutions whose channels fill vectors. Those of 3 x 3 with stride 1 are filtered minimally,
/// whose error goes with the largest result and not with each: the conformance table has them.
fn wide_convolutions() -> impl Strategy<Value = (ConvWindow, [usize; 4], [usize; 4])> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let window = (pair(1..4), pair(0..3), pair(0..3), pair(1..3), 1usize..3);
    let sizes = (1usize..4, 16usize..34, 16usize..50, pair(3..12), pair(1..4));
    (window, sizes)
        .prop_map(|((stride, pad_low, pad_high, dilation, groups), sizes)| {
            let (batch, c, o, input, kernel) = sizes;
            let window = ConvWindow { stride, pad_low, pad_high, dilation, groups };
            let x = [batch, c * groups, input[0], input[1]];
            (window, x, [o * groups, c, kernel[0], kernel[1]])
        })
        .prop_filter("minimal filtering", |(window, _, w)| {
            window.stride != [1; 2] || w[2..] != [3; 2]
        })
        .prop_filter("the kernel fits", |(window, x, w)| output(window, x, w).is_some())
}

fn output(window: &ConvWindow, x: &[usize; 4], w: &[usize; 4]) -> Option<[usize; 4]> {
    let size = |axis: usize| window.output_size(axis, x[2 + axis], w[2 + axis]);
    Some([x[0], w[0], size(0)?, size(1)?])
}

/// All three ops of a convolution.
pub(super) fn check_convolution(window: ConvWindow, x_dims: [usize; 4], w_dims: [usize; 4]) {
    let y_dims = output(&window, &x_dims, &w_dims).unwrap();
    let mut memory = Memory::default();
    let x = f32s(&mut memory, &x_dims, 1);
    let w = f32s(&mut memory, &w_dims, 2);
    let dy = f32s(&mut memory, &y_dims, 3);
    let op = Op::Conv(Conv { window });
    check_op(&mut memory, &op, &[x.clone(), w.clone()], &y_dims, DType::F32);
    let op = Op::ConvInputGrad(ConvInputGrad { window, input_shape: Shape::from(x_dims) });
    check_op(&mut memory, &op, &[dy.clone(), w], &x_dims, DType::F32);
    let op = Op::ConvWeightGrad(ConvWeightGrad { window, weight_shape: Shape::from(w_dims) });
    check_op(&mut memory, &op, &[x, dy], &w_dims, DType::F32);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_all_kinds((window, x, w) in convolutions()) {
        check_convolution(window, x, w);
    }

    #[test]
    fn convolutions_of_many_channels((window, x, w) in wide_convolutions()) {
        check_convolution(window, x, w);
    }

    #[test]
    fn pools_of_all_kinds(
        size in [1usize..5, 1usize..5],
        stride in [1usize..4, 1usize..4],
        pad_low in [0usize..3, 0usize..3],
        pad_high in [0usize..3, 0usize..3],
        dilation in [1usize..3, 1usize..3],
        dims in [1usize..3, 1usize..4, 1usize..20, 1usize..90],
    ) {
        let window = PoolWindow { size, stride, pad_low, pad_high, dilation };
        let sizes = [0, 1].map(|axis| window.output_size(axis, dims[2 + axis]));
        prop_assume!(sizes[0].is_some() && sizes[1].is_some());
        let y = [dims[0], dims[1], sizes[0].unwrap(), sizes[1].unwrap()];
        let mut memory = Memory::default();
        // Few different numbers, so that there are equal ones.
        let count = dims.iter().product();
        let data: Vec<f32> = numbers(count, 1).iter().map(|x| (x * 4.0).round()).collect();
        let x = memory.push_f32(&dims, &data);
        let dy = f32s(&mut memory, &y, 2);
        let inputs = [x, dy];
        check_op(&mut memory, &Op::MaxPool(MaxPool { window }), &inputs[..1], &y, DType::F32);
        check_op(&mut memory, &Op::SumPool(SumPool { window }), &inputs[..1], &y, DType::F32);
        check_op(&mut memory, &Op::MaxPoolGrad(MaxPoolGrad { window }), &inputs, &dims, DType::F32);
        let op = Op::SumPoolGrad(SumPoolGrad { window, input_shape: Shape::from(dims) });
        check_op(&mut memory, &op, &inputs[1..], &dims, DType::F32);
    }

    #[test]
    fn rows_of_all_widths(rows in 1usize..20, classes in 1usize..70, smoothing in 0f32..1.0) {
        let mut memory = Memory::default();
        let scaled: Vec<f32> = numbers(rows * classes, 1).iter().map(|x| x * 20.0).collect();
        let x = memory.push_f32(&[rows, classes], &scaled);
        // One label is no class.
        let labels: Vec<i32> = (0..rows).map(|i| (i * 7 % (classes + 1)) as i32).collect();
        let labels = memory.push_i32(&[rows], &labels);
        let dy = f32s(&mut memory, &[rows], 2);
        let dims = [rows, classes];
        let one = std::slice::from_ref(&x);
        check_op(&mut memory, &Op::Softmax(Softmax), one, &dims, DType::F32);
        check_op(&mut memory, &Op::LogSoftmax(LogSoftmax), one, &dims, DType::F32);
        check_op(&mut memory, &Op::ArgMax(ArgMax { axis: 0 }), one, &[classes], DType::I32);
        check_op(&mut memory, &Op::ArgMax(ArgMax { axis: 1 }), one, &[rows], DType::I32);
        for label_smoothing in [0.0, smoothing] {
            let inputs = [x.clone(), labels.clone(), dy.clone()];
            let op = Op::CrossEntropy(CrossEntropy { label_smoothing });
            check_op(&mut memory, &op, &inputs[..2], &[rows], DType::F32);
            let op = Op::CrossEntropyGrad(CrossEntropyGrad { label_smoothing });
            check_op(&mut memory, &op, &inputs, &dims, DType::F32);
        }
    }

    #[test]
    fn tables_of_all_sizes(rows in 1usize..20, width in 1usize..40, count in 0usize..50) {
        let mut memory = Memory::default();
        let table = f32s(&mut memory, &[rows, width], 1);
        // Some are outside the table, on both sides.
        let indices: Vec<i32> =
            (0..count).map(|i| (i * 13 % (rows + 2)) as i32 - 1).collect();
        let indices = memory.push_i32(&[count], &indices);
        let updates = f32s(&mut memory, &[count, width], 2);
        let inputs = [table, indices, updates];
        check_op(&mut memory, &Op::Gather(Gather), &inputs[..2], &[count, width], DType::F32);
        let op = Op::ScatterAdd(ScatterAdd { rows });
        check_op(&mut memory, &op, &inputs[1..], &[rows, width], DType::F32);
    }
}

#[test]
fn convolutions_of_no_pictures() {
    let strided = ConvWindow { stride: [2; 2], ..ConvWindow::default() };
    for window in [ConvWindow::default(), strided] {
        check_convolution(window, [0, 16, 8, 8], [16, 16, 3, 3]);
        check_convolution(window, [0, 3, 8, 8], [16, 3, 3, 3]);
    }
}

/// They go over planes where rows of the result are whole vectors, else channels last.
#[test]
fn convolutions_of_few_channels() {
    let padded = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..ConvWindow::default() };
    let strided = ConvWindow { stride: [2; 2], ..padded };
    for (window, width) in [(padded, 16), (padded, 13), (strided, 32), (strided, 14)] {
        check_convolution(window, [3, 8, 6, width], [12, 8, 3, 3]);
        let window = ConvWindow { groups: 2, ..window };
        check_convolution(window, [2, 18, 5, width], [20, 9, 3, 3]);
    }
    check_convolution(ConvWindow::default(), [2, 8, 4, 16], [8, 8, 1, 1]);
}

#[test]
fn large_pictures_are_cut_into_strips() {
    let window = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..ConvWindow::default() };
    check_convolution(window, [1, 9, 61, 300], [2, 9, 3, 3]);
    let window = ConvWindow { stride: [2; 2], ..window };
    check_convolution(window, [2, 9, 61, 300], [2, 9, 3, 3]);
    // Rows of the result that are whole vectors, then more channels than a vector has lanes.
    let window = ConvWindow { stride: [1; 2], ..window };
    check_convolution(window, [1, 3, 100, 512], [2, 3, 3, 3]);
    let window = ConvWindow { stride: [3, 2], dilation: [2; 2], ..window };
    check_convolution(window, [2, 17, 61, 150], [2, 17, 3, 3]);
    check_convolution(
        ConvWindow { stride: [3, 2], ..ConvWindow::default() },
        [1, 17, 97, 150],
        [2, 17, 1, 1],
    );
}

/// Two by two, side by side.
const USUAL: PoolWindow = PoolWindow {
    size: [2; 2],
    stride: [2; 2],
    pad_low: [0; 2],
    pad_high: [0; 2],
    dilation: [1; 2],
};

/// Both directions of the usual windows, over four planes.
fn check_usual_windows([h, w]: [usize; 2], element: impl Fn(usize, f32) -> f32) {
    let (dims, y) = ([2, 2, h, w], [2, 2, h / 2, w / 2]);
    let mut memory = Memory::default();
    let drawn = numbers(4 * h * w, 1);
    let data: Vec<f32> = drawn.iter().enumerate().map(|(i, &x)| element(i, x)).collect();
    let inputs = [memory.push_f32(&dims, &data), f32s(&mut memory, &y, 2)];
    let op = Op::MaxPool(MaxPool { window: USUAL });
    check_op(&mut memory, &op, &inputs[..1], &y, DType::F32);
    let op = Op::MaxPoolGrad(MaxPoolGrad { window: USUAL });
    check_op(&mut memory, &op, &inputs, &dims, DType::F32);
}

/// Whole vectors of windows in a row, of several rows, parts of vectors; rows and columns that no
/// window reaches. Among few different numbers the largest are often equal: the first wins.
#[test]
fn usual_windows_of_all_widths() {
    for w in (2..40).chain([64, 71, 96]) {
        for h in [2, 5, 8] {
            check_usual_windows([h, w], |_, x| (x * 2.0).round());
        }
    }
    check_usual_windows([6, 34], |i, _| if i % 7 < 5 { f32::NEG_INFINITY } else { f32::INFINITY });
    check_usual_windows([6, 34], |i, _| if i % 2 == 0 { -0.0 } else { 0.0 });
}

#[test]
fn not_a_number_is_seen() {
    for size in [[8, 8], [6, 34], [4, 64]] {
        check_usual_windows(size, |i, x| match i {
            9 | 50 | 51 => f32::NAN,
            20..24 => f32::NEG_INFINITY,
            _ => x,
        });
    }
}

#[test]
fn fused_ops_and_other_dtypes_are_refused() {
    let mut memory = Memory::default();
    let x = memory.push_i32(&[4, 4], &[0; 16]);
    let out = memory.room(&[4, 4], DType::F32);
    let regions = crate::cpu_kernel::Regions::new(0, 0, 0);
    let machine = Machine { threads: 1, level: crate::Level::Portable };
    let lower = |op: Op| {
        let inputs = [x.clone(), x.clone()];
        super::lower(&op, &inputs, &out, regions, machine).err().unwrap()
    };
    let error = lower(Op::Unary(Unary::Exp)).to_string();
    assert!(error.contains("cpu") && error.contains("exp"), "{error}");
    let error = lower(Op::MatMul(MatMul::default())).to_string();
    assert!(error.contains("matmul") && error.contains("i32"), "{error}");
}
