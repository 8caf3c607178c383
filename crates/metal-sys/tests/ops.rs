//! Ops where the shim composes what the platform does not have, at the numbers that are hard.

mod common;

use common::{Writer, assert_close, buffer, device, evaluate};
use onestep_metal_sys::{DType, NodeDescription, OpCode, Storage};

#[test]
fn expm1_and_log1p_are_accurate_near_zero_and_finite_far_away() {
    let Some((metal, queue)) = device() else { return };
    let xs: [f32; 8] = [-20.0, -0.5, -1e-4, 1e-7, 0.2, 0.9, 1.1, 20.0];
    let n = xs.len() as i64;
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[n], &[0]);
    let y = g.op(OpCode::Expm1, &[n], &[x]);
    let got = evaluate(&queue, g.nodes, y, &[&buffer(&metal, &xs)]);
    for (x, y) in xs.iter().zip(got) {
        let want = f64::from(*x).exp_m1();
        assert!((f64::from(y) - want).abs() <= 1e-6 * want.abs(), "expm1({x}) = {y}");
    }
    let xs: [f32; 8] = [-0.9, -0.25, -1e-4, 1e-7, 0.2, 0.3, 5.0, 1e6];
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[n], &[0]);
    let y = g.op(OpCode::Log1p, &[n], &[x]);
    let got = evaluate(&queue, g.nodes, y, &[&buffer(&metal, &xs)]);
    for (x, y) in xs.iter().zip(got) {
        let want = f64::from(*x).ln_1p();
        assert!((f64::from(y) - want).abs() <= 1e-6 * want.abs(), "log1p({x}) = {y}");
    }
}

fn labels(metal: &onestep_metal_sys::Device, values: &[i32]) -> onestep_metal_sys::Buffer {
    let buffer = metal.buffer(values.len() as u64 * 4, Storage::Shared).unwrap();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    buffer.write(0, &bytes).unwrap();
    buffer
}

#[test]
fn a_wrong_label_gives_nan_and_the_others_their_cross_entropy() {
    let Some((metal, queue)) = device() else { return };
    let logits = buffer(&metal, &[0.0, 0.0, 2.0, 0.0, 1.0, 1.0]);
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[3, 2], &[0]);
    let t = g.push(NodeDescription::new(OpCode::Feed, DType::I32, &[3], &[]).with_ints(0, &[1]));
    let loss = g.op(OpCode::CrossEntropy, &[3], &[x, t]);
    let got = evaluate(&queue, g.nodes, loss, &[&logits, &labels(&metal, &[0, 1, 2])]);
    assert_close(&got, &[2.0f32.ln(), 2.0 + (-2.0f32).exp().ln_1p(), f32::NAN], 1e-6);
}

#[test]
fn rows_outside_of_a_table_are_nan_when_gathered_and_dropped_when_scattered() {
    let Some((metal, queue)) = device() else { return };
    let table = buffer(&metal, &[1.0, 2.0, 3.0, 4.0]);
    let at = labels(&metal, &[1, -1, 0]);
    let index = NodeDescription::new(OpCode::Feed, DType::I32, &[3], &[]).with_ints(0, &[1]);
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[2, 2], &[0]);
    let i = g.push(index.clone());
    let y = g.op(OpCode::Gather, &[3, 2], &[x, i]);
    let got = evaluate(&queue, g.nodes, y, &[&table, &at]);
    assert_close(&got, &[3.0, 4.0, f32::NAN, f32::NAN, 1.0, 2.0], 0.0);

    let updates = buffer(&metal, &[1.0, 10.0, 100.0, 1000.0, 5.0, 6.0]);
    let mut g = Writer::default();
    let x = g.leaf(OpCode::Feed, &[3, 2], &[0]);
    let i = g.push(index);
    let y = g.op(OpCode::ScatterAdd, &[2, 2], &[i, x]);
    let got = evaluate(&queue, g.nodes, y, &[&updates, &at]);
    assert_close(&got, &[5.0, 6.0, 1.0, 10.0], 0.0);
}

#[test]
fn pooling_sums_count_no_padding_and_products_have_any_rank() {
    let Some((metal, queue)) = device() else { return };
    let x = buffer(&metal, &[1.0, 2.0, 3.0, 4.0]);
    let mut g = Writer::default();
    let feed = g.leaf(OpCode::Feed, &[1, 1, 2, 2], &[0]);
    let pool = NodeDescription::new(OpCode::SumPool, DType::F32, &[1, 1, 2, 2], &[feed]);
    // 2 by 2 with padding behind only.
    let y = g.push(pool.with_ints(0, &[2, 2, 1, 1, 0, 0, 1, 1, 1, 1]));
    assert_close(&evaluate(&queue, g.nodes, y, &[&x]), &[10.0, 6.0, 7.0, 4.0], 1e-6);

    let mut g = Writer::default();
    let feed = g.leaf(OpCode::Feed, &[1, 1, 2, 2], &[0]);
    let product = NodeDescription::new(OpCode::Matmul, DType::F32, &[1, 1, 2, 2], &[feed, feed]);
    let y = g.push(product.with_ints(0, &[0, 1]));
    assert_close(&evaluate(&queue, g.nodes, y, &[&x]), &[5.0, 11.0, 11.0, 25.0], 1e-6);
}
