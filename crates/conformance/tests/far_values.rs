//! Normalisations of data far from 0, and of data that does not vary, on the CPU executor.

use onestep_backend_cpu::{CpuExecutor, CpuOptions, Level};
use onestep_conformance::{EPSILON, Feeds, OnExecutor, Reference, Run, Subject, Tensors};
use onestep_engine::reference::Array;
use onestep_engine::{Executor, Mode, Named, Program, Shape};
use onestep_layers::{BatchNorm, LayerNorm, LayerSpec, ModelSpec};

/// Numbers in `[-2, 2)` around `shift`, as f32 holds them.
fn around(shift: f32, count: usize) -> Vec<f32> {
    let noise = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (0..count).map(|i| shift + (noise(i) as f32 / (1 << 22) as f32 - 2.0)).collect()
}

/// A step that gives the output of layers in training.
fn step(layers: Vec<LayerSpec>, dims: &[usize], data: &[f32]) -> Run {
    let model = ModelSpec::new("far", &dims[1..], layers).compile().unwrap();
    let forward = model.forward(Mode::Train, dims[0]).unwrap();
    let output = forward.output();
    let output = Named::new("output", output);
    let array =
        |dims: &[usize], data: Vec<f64>| Array::new(Shape::new(dims).unwrap(), data).unwrap();
    let input = array(dims, data.iter().map(|&x| f64::from(x)).collect());
    let initial: Tensors = model
        .initial_states(0)
        .map(|(name, data)| {
            let data: Vec<f64> = data.into_iter().map(f64::from).collect();
            (name.to_owned(), array(&[data.len()], data))
        })
        .collect();
    let feeds = Feeds { inputs: [("input".to_owned(), input)].into(), ..Feeds::default() };
    let program = Program::predict(forward.graph, vec![output]);
    Run { program, initial, steps: vec![feeds], seed: 0, first_step: 1 }
}

fn output(subject: &dyn Subject, run: &Run) -> Vec<f64> {
    subject.run(run).unwrap().steps[0]["output"].data.clone()
}

/// The CPU with each instruction set, and with several threads.
fn each_cpu(check: impl Fn(&dyn Subject)) {
    for (threads, level) in Level::available().map(|level| (1, level)).chain([(3, Level::best())]) {
        let options =
            CpuOptions { threads: Some(threads), level: Some(level), ..CpuOptions::default() };
        check(&OnExecutor::new(move || {
            CpuExecutor::new(options).map(|cpu| Box::new(cpu) as Box<dyn Executor>)
        }));
    }
}

fn batch_norm(eps: f32) -> LayerSpec {
    BatchNorm { affine: false, eps, ..BatchNorm::default() }.into()
}

fn layer_norm(eps: f32) -> LayerSpec {
    LayerNorm { affine: false, eps, ..LayerNorm::default() }.into()
}

fn largest_error(subject: &dyn Subject, run: &Run) -> f64 {
    let (got, wanted) = (output(subject, run), output(&Reference, run));
    got.iter().zip(&wanted).fold(0.0, |most, (a, b)| f64::max(most, (a - b).abs()))
}

/// All that is lost is what rounding the mean to f32 costs: half of a unit of its last place. (PyTorch
/// loses several times as much.) A second normalisation takes that out, since it is the same everywhere.
#[test]
fn a_mean_far_from_0_costs_no_more_than_its_own_rounding() {
    each_cpu(|cpu| {
        for dims in [&[64, 5][..], &[4, 3, 9, 11], &[700, 2]] {
            for shift in [0.0, 100.0, 1000.0, 30_000.0] {
                let data = around(shift, dims.iter().product());
                let rounding = f64::from(shift) * EPSILON / 2.0;
                let once = step(vec![batch_norm(1e-5)], dims, &data);
                let error = largest_error(cpu, &once);
                assert!(error < 8.0 * EPSILON + rounding, "{dims:?} {shift}: off by {error}");
                let twice = step(vec![batch_norm(1e-5), batch_norm(1e-5)], dims, &data);
                let error = largest_error(cpu, &twice);
                assert!(error < 16.0 * EPSILON, "{dims:?} {shift}: twice off by {error}");
            }
        }
        for dims in [&[3, 81][..], &[2, 5, 700]] {
            for shift in [100.0, 1000.0] {
                let data = around(shift, dims.iter().product());
                let error = largest_error(cpu, &step(vec![layer_norm(1e-5)], dims, &data));
                let rounding = f64::from(shift) * EPSILON / 2.0;
                assert!(error < 8.0 * EPSILON + rounding, "{dims:?} {shift}: off by {error}");
            }
        }
    });
}

/// What does not vary has nothing left without its mean, and a rounding error scaled up would be as
/// large as data.
#[test]
fn data_that_does_not_vary_becomes_0() {
    each_cpu(|cpu| {
        for x in [0.1, 1e6 / 3.0, -7.7e7, 1.3e30] {
            for eps in [1e-5, 1e-40, 0.0] {
                for (layer, dims) in [
                    (batch_norm(eps), &[49, 3][..]),
                    (batch_norm(eps), &[3, 2, 7, 11]),
                    (layer_norm(eps), &[2, 49]),
                    (layer_norm(eps), &[2, 3, 1001]),
                ] {
                    let run = step(vec![layer], dims, &vec![x; dims.iter().product()]);
                    let got = output(cpu, &run);
                    assert!(got.iter().all(|&y| y == 0.0), "{x} {eps} {dims:?}: {:?}", &got[..3]);
                }
            }
        }
    });
}
