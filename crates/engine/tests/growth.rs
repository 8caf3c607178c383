//! Planning a deep network takes about so much more as there are more layers, and attention so much more memory as
//! there are more tokens: counted, not timed.
#![cfg(debug_assertions)]

#[allow(dead_code, reason = "the other tests use the rest")]
mod common;

use common::models::{Model, Result, training};
use onestep_engine::plan::compile;
use onestep_engine::*;

const WIDTH: usize = 16;
const LENGTH: usize = 8;

/// `x w + b` for the last axis of `[batch, length, width]`.
fn dense(g: &mut Graph, x: Value, out: usize, name: &str) -> Result<Value> {
    let width = g.shape(x)[2];
    let w = g.parameter(&format!("{name}.weight"), &[width, out])?;
    let b = g.parameter(&format!("{name}.bias"), &[out])?;
    let rows = g.shape(x).elements() / width;
    let flat = g.reshape(x, &[rows, width])?;
    let y = g.matmul(flat, w)?;
    let y = g.add(y, b)?;
    g.reshape(y, &[rows / LENGTH, LENGTH, out])
}

fn layer_norm(g: &mut Graph, x: Value, name: &str) -> Result<Value> {
    let mean = g.mean(x, &[2], true)?;
    let variance = g.variance(x, mean, &[2])?;
    let centred = g.sub(x, mean)?;
    let shifted = g.offset(variance, 1e-5)?;
    let scale = g.rsqrt(shifted)?;
    let normal = g.mul(centred, scale)?;
    let weight = g.parameter(&format!("{name}.weight"), &[WIDTH])?;
    g.mul(normal, weight)
}

/// Attention and two dense layers, each behind a norm and beside what goes around it.
fn block(g: &mut Graph, x: Value, name: &str) -> Result<Value> {
    let normal = layer_norm(g, x, &format!("{name}.ln1"))?;
    let [q, k, v] = ["q", "k", "v"].map(|part| dense(g, normal, WIDTH, &format!("{name}.{part}")));
    let (q, k, v) = (q?, k?, v?);
    let scores = g.matmul_with(q, k, false, true)?;
    let scores = g.scale(scores, 0.25)?;
    let shares = g.softmax(scores, 2)?;
    let mixed = g.matmul(shares, v)?;
    let mixed = dense(g, mixed, WIDTH, &format!("{name}.o"))?;
    let x = g.add(x, mixed)?;
    let normal = layer_norm(g, x, &format!("{name}.ln2"))?;
    let wide = dense(g, normal, 4 * WIDTH, &format!("{name}.up"))?;
    let sigmoid = g.sigmoid(wide)?;
    let wide = g.mul(wide, sigmoid)?;
    let narrow = dense(g, wide, WIDTH, &format!("{name}.down"))?;
    g.add(x, narrow)
}

fn transformer(layers: usize) -> Result<Model> {
    let mut g = Graph::new();
    let mut x = g.input("input", &[2, LENGTH, WIDTH], DType::F32)?;
    for layer in 0..layers {
        x = block(&mut g, x, &format!("block{layer}"))?;
    }
    let square = g.square(x)?;
    let loss = g.mean_all(square)?;
    training(g, x, loss, Vec::new())
}

/// What the passes visit for a training step, and the kernels of it.
fn work(layers: usize) -> (u64, usize) {
    let mut model = transformer(layers).unwrap();
    model.program.keep_gradients = false;
    let layout = model.layout();
    let before = compiler_work();
    let plan = compile(&model.program, &layout, None).unwrap();
    (compiler_work() - before, plan.kernels.len())
}

#[test]
fn planning_twice_as_many_layers_of_a_transformer_takes_about_twice_as_much() {
    let [(half, few), (whole, many)] = [48, 96].map(work);
    assert!(few > 1000 && many < 2 * few + few / 10, "{few}, then {many} kernels");
    assert!(half > few as u64, "{half} is nothing to compare with");
    // Fusion takes twice as much; the arena, whose trees get a level more, a little over that. What grows
    // with the square would take four times as much.
    assert!(2 * whole < 5 * half, "{half}, then {whole}");
}

/// The bytes that a training step of attention over so many tokens needs for what it computes.
fn arena(tokens: usize) -> usize {
    let step = || {
        let mut g = Graph::new();
        let x = g.input("input", &[2, tokens, WIDTH], DType::F32)?;
        let weight = g.parameter("weight", &[WIDTH, 3 * WIDTH])?;
        let flat = g.reshape(x, &[2 * tokens, WIDTH])?;
        let all = g.matmul(flat, weight)?;
        let all = g.reshape(all, &[2, tokens, 3 * 4, WIDTH / 4])?;
        let mut heads = Vec::new();
        for part in 0..3 {
            let part = g.slice_axis(all, 2, 4 * part, 4 * (part + 1))?;
            heads.push(g.permute(part, &[0, 2, 1, 3])?);
        }
        let options = AttentionOptions { causal: true, dropout: 0.1, ..Default::default() };
        let y = g.attention(heads[0], heads[1], heads[2], options)?;
        let square = g.square(y)?;
        let loss = g.mean_all(square)?;
        training(g, y, loss, Vec::new())
    };
    let mut model = step().unwrap();
    model.program.keep_gradients = false;
    model.plan().footprint.arena
}

#[test]
fn attention_over_twice_as_many_tokens_takes_twice_the_memory() {
    let bytes = [16, 64, 256, 1024, 2048].map(arena);
    for (pair, times) in bytes.windows(2).zip([4, 4, 4, 2]) {
        assert!(pair[1] <= times * pair[0], "{bytes:?}");
    }
    // The weights of one head alone would take more.
    assert!(bytes[4] < 2048 * 2048 * DType::F32.size(), "{bytes:?}");
}
