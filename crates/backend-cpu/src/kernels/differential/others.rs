//! Matrix products, pools, rows and tables.

use onestep_engine::DType;
use onestep_engine::ops::*;
use onestep_engine::plan::Place;

use super::{Case, Draw, each_draw};
use crate::testing::Memory;

/// Adds an operand of small whole numbers.
fn operand(memory: &mut Memory, draw: &mut Draw, dims: &[usize]) -> Place {
    let numbers = draw.whole(dims.iter().product(), 4);
    memory.push_f32(dims, &numbers)
}

#[test]
fn products_of_drawn_sizes() {
    each_draw("products", 1000, |draw| {
        // Sides of all kinds, and those of which one is short: few rows, few columns, one product.
        let (mut m, mut n) = (draw.around_vectors(130), draw.around_vectors(130));
        let mut k = match draw.below(3) {
            0 => draw.within(1, 40),
            1 => draw.within(300, 500),
            _ => draw.around_vectors(90),
        };
        match draw.below(4) {
            0 => m = draw.within(1, 9),
            1 => n = draw.within(1, 9),
            2 => (n, k) = (n.next_multiple_of(16), k.max(32 * m.min(12))),
            _ => {}
        }
        k = k.min((400_000 / (m * n)).max(1));
        let batch = if m * n * k > 60_000 { 1 } else { draw.pick(&[1, 1, 2, 3]) };
        let op = MatMul { transpose_a: draw.below(2) == 0, transpose_b: draw.below(2) == 0 };
        let mut memory = Memory::default();
        let a = if op.transpose_a { [batch, k, m] } else { [batch, m, k] };
        let b = if op.transpose_b { [batch, n, k] } else { [batch, k, n] };
        let inputs = [operand(&mut memory, draw, &a), operand(&mut memory, draw, &b)];
        let case = Case::new(memory, Op::MatMul(op), &inputs, (&[batch, m, n], DType::F32));
        case.check(draw, |_| 0.0);
    });
}

/// A window and a picture that it fits.
fn pool(draw: &mut Draw) -> (PoolWindow, [usize; 4], [usize; 4]) {
    loop {
        let pair = |draw: &mut Draw, from, to| [draw.within(from, to), draw.within(from, to)];
        let window = match draw.below(3) {
            0 => PoolWindow {
                size: [2; 2],
                stride: [2; 2],
                pad_low: [0; 2],
                pad_high: [0; 2],
                dilation: [1; 2],
            },
            _ => PoolWindow {
                size: pair(draw, 1, 5),
                stride: pair(draw, 1, 4),
                pad_low: pair(draw, 0, 2),
                pad_high: pair(draw, 0, 2),
                dilation: pair(draw, 1, 2),
            },
        };
        let size = [draw.around_vectors(40), draw.around_vectors(140)];
        let x = [draw.within(1, 3), draw.within(1, 4), size[0], size[1]];
        let sizes = [0, 1].map(|axis| window.output_size(axis, size[axis]));
        if let [Some(height), Some(width)] = sizes {
            return (window, x, [x[0], x[1], height, width]);
        }
    }
}

#[test]
fn pools_of_drawn_shapes() {
    each_draw("pools", 600, |draw| {
        let (window, dims, y) = pool(draw);
        let mut memory = Memory::default();
        let inputs = [operand(&mut memory, draw, &dims), operand(&mut memory, draw, &y)];
        let sum_grad = SumPoolGrad { window, input_shape: onestep_engine::Shape::from(dims) };
        let cases = [
            (Op::MaxPool(MaxPool { window }), &inputs[..1], y),
            (Op::SumPool(SumPool { window }), &inputs[..1], y),
            (Op::MaxPoolGrad(MaxPoolGrad { window }), &inputs[..], dims),
            (Op::SumPoolGrad(sum_grad), &inputs[1..], dims),
        ];
        for (op, inputs, out) in cases {
            Case::new(memory.clone(), op, inputs, (&out, DType::F32)).check(draw, |_| 0.0);
        }
    });
}

#[test]
fn rows_of_drawn_widths() {
    each_draw("rows", 400, |draw| {
        let (rows, width) = (draw.within(1, 40), draw.around_vectors(140));
        let dims = [rows, width];
        let mut memory = Memory::default();
        let x = operand(&mut memory, draw, &dims);
        // One in some is no class.
        let labels: Vec<i32> = (0..rows).map(|_| draw.below(width + 1) as i32).collect();
        let labels = memory.push_i32(&[rows], &labels);
        let dy = operand(&mut memory, draw, &[rows]);
        let label_smoothing = draw.pick(&[0.0, 0.1]);
        let inputs = [x, labels, dy];
        let cases: [(Op, &[Place], &[usize], DType); 6] = [
            (Op::Softmax(Softmax), &inputs[..1], &dims, DType::F32),
            (Op::LogSoftmax(LogSoftmax), &inputs[..1], &dims, DType::F32),
            (Op::ArgMax(ArgMax { axis: 0 }), &inputs[..1], &[width], DType::I32),
            (Op::ArgMax(ArgMax { axis: 1 }), &inputs[..1], &[rows], DType::I32),
            (Op::CrossEntropy(CrossEntropy { label_smoothing }), &inputs[..2], &[rows], DType::F32),
            (
                Op::CrossEntropyGrad(CrossEntropyGrad { label_smoothing }),
                &inputs,
                &dims,
                DType::F32,
            ),
        ];
        for (op, inputs, out, dtype) in cases {
            let case = Case::new(memory.clone(), op, inputs, (out, dtype));
            case.check(draw, |_| if dtype == DType::I32 { 0.0 } else { 1e-5 });
        }
    });
}

#[test]
fn axes_of_drawn_sizes() {
    each_draw("axes", 300, |draw| {
        let axis = draw.below(3);
        let mut dims = [draw.within(1, 9), draw.within(1, 9), draw.within(1, 9)];
        dims[axis] = draw.around_vectors(70);
        let size = draw.within(1, 40);
        let mut around = dims;
        around[axis] = size;
        let mut memory = Memory::default();
        let x = operand(&mut memory, draw, &dims);
        // Some are outside the axis, on both sides.
        let count = around.iter().product();
        let places: Vec<i32> = (0..count).map(|_| draw.below(dims[axis] + 2) as i32 - 1).collect();
        let places = memory.push_i32(&around, &places);
        let updates = operand(&mut memory, draw, &around);
        let inputs = [x, places, updates];
        let reverse = draw.below(2) == 0;
        let scatter = ScatterAlong { axis, size: dims[axis] };
        let cases: [(Op, &[Place], [usize; 3], DType); 4] = [
            (Op::GatherAlong(GatherAlong { axis }), &inputs[..2], around, DType::F32),
            (Op::ScatterAlong(scatter), &inputs[1..], dims, DType::F32),
            (Op::CumSum(CumSum { axis, reverse }), &inputs[..1], dims, DType::F32),
            (Op::ArgSort(ArgSort { descending: reverse }), &inputs[..1], dims, DType::I32),
        ];
        for (op, inputs, out, dtype) in cases {
            Case::new(memory.clone(), op, inputs, (&out, dtype)).check(draw, |_| 0.0);
        }
    });
}

#[test]
fn tables_of_drawn_sizes() {
    each_draw("tables", 300, |draw| {
        let (rows, width) = (draw.within(1, 40), draw.around_vectors(70));
        let count = draw.within(0, 60);
        let mut memory = Memory::default();
        let table = operand(&mut memory, draw, &[rows, width]);
        // Some are outside the table, on both sides.
        let indices: Vec<i32> = (0..count).map(|_| draw.below(rows + 2) as i32 - 1).collect();
        let indices = memory.push_i32(&[count], &indices);
        let updates = operand(&mut memory, draw, &[count, width]);
        let inputs = [table, indices, updates];
        let gather = (Op::Gather(Gather), &inputs[..2], [count, width]);
        let scatter = (Op::ScatterAdd(ScatterAdd { rows }), &inputs[1..], [rows, width]);
        let set = (Op::SetRows(SetRows), &inputs[..], [rows, width]);
        for (op, inputs, out) in [gather, scatter, set] {
            Case::new(memory.clone(), op, inputs, (&out, DType::F32)).check(draw, |_| 0.0);
        }
        let distinct = Op::DistinctRows(DistinctRows { rows });
        Case::new(memory, distinct, &inputs[1..2], (&[3 * count], DType::I32)).check(draw, |_| 0.0);
    });
}
