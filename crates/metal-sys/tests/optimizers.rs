//! Optimizer calls against PyTorch's formulas in f64.

mod common;

use common::{assert_close, buffer, device, read, wait};
use onestep_metal_sys::{Adam, MetalError, OptimizerTensor, Queue, RmsProp, Sgd, Ticket};

const GRADIENTS: [[f32; 2]; 3] = [[0.5, -1.0], [0.25, 2.0], [-0.125, 0.5]];

/// Runs three steps on a parameter of 1 and -2 and gives it back.
fn three_steps(
    states: usize,
    mut step: impl FnMut(&Queue, &[OptimizerTensor<'_>], u64) -> Ticket,
) -> Option<Vec<f32>> {
    let (metal, queue) = device()?;
    let parameter = buffer(&metal, &[1.0, -2.0]);
    let gradient = buffer(&metal, &[0.0; 2]);
    let states: Vec<_> = (0..states).map(|_| buffer(&metal, &[0.0; 2])).collect();
    for (i, values) in GRADIENTS.iter().enumerate() {
        gradient.write(0, &common::bytes(values)).unwrap();
        let tensor = OptimizerTensor {
            parameter: parameter.as_ref(),
            gradient: gradient.as_ref(),
            states: states.iter().map(|s| s.as_ref()).collect(),
            elements: 2,
        };
        wait(&step(&queue, &[tensor], i as u64 + 1));
    }
    assert_eq!(metal.statistics().unwrap().compilations, 1, "one graph for all steps");
    Some(read(&parameter))
}

/// The same three steps in f64, given the change of one number by its gradient and step.
fn expected(mut change: impl FnMut(f64, f64, i32, usize) -> f64) -> Vec<f32> {
    let mut p = [1.0f64, -2.0];
    for (i, gradients) in GRADIENTS.iter().enumerate() {
        for k in 0..2 {
            p[k] = change(p[k], f64::from(gradients[k]), i as i32 + 1, k);
        }
    }
    p.map(|v| v as f32).to_vec()
}

#[test]
fn sgd_with_momentum_dampening_and_nesterov() {
    let rule = Sgd { lr: 0.1, weight_decay: 0.01, momentum: 0.9, dampening: 0.0, nesterov: true };
    let run = three_steps(1, |q, t, s| rule.step(q, t, s).unwrap());
    let Some(got) = run else { return };
    let mut buffer = [0.0; 2];
    let want = expected(|p, g, _, k| {
        let g = g + 0.01 * p;
        buffer[k] = 0.9 * buffer[k] + g;
        p - 0.1 * (g + 0.9 * buffer[k])
    });
    assert_close(&got, &want, 1e-6);
}

#[test]
fn adam_with_amsgrad_and_decoupled_decay() {
    let rule = Adam {
        lr: 0.1,
        weight_decay: 0.01,
        betas: [0.9, 0.999],
        eps: 1e-8,
        decoupled_weight_decay: true,
        amsgrad: true,
    };
    let run = three_steps(3, |q, t, s| rule.step(q, t, s).unwrap());
    let Some(got) = run else { return };
    let (mut m, mut v, mut top) = ([0.0; 2], [0.0; 2], [0.0f64; 2]);
    let want = expected(|p, g, t, k| {
        m[k] = 0.9 * m[k] + 0.1 * g;
        v[k] = 0.999 * v[k] + 0.001 * g * g;
        top[k] = top[k].max(v[k]);
        let root = (top[k] / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8;
        p * (1.0 - 0.1 * 0.01) - 0.1 * (m[k] / (1.0 - 0.9f64.powi(t))) / root
    });
    assert_close(&got, &want, 1e-5);
}

#[test]
fn rmsprop_centred_with_momentum() {
    let rule = RmsProp {
        lr: 0.01,
        weight_decay: 0.1,
        alpha: 0.9,
        eps: 1e-8,
        momentum: 0.5,
        centered: true,
    };
    let run = three_steps(3, |q, t, s| rule.step(q, t, s).unwrap());
    let Some(got) = run else { return };
    let (mut square, mut mean, mut buffer) = ([0.0f64; 2], [0.0; 2], [0.0; 2]);
    let want = expected(|p, g, _, k| {
        let g = g + 0.1 * p;
        square[k] = 0.9 * square[k] + 0.1 * g * g;
        mean[k] = 0.9 * mean[k] + 0.1 * g;
        buffer[k] = 0.5 * buffer[k] + g / ((square[k] - mean[k] * mean[k]).sqrt() + 1e-8);
        p - 0.01 * buffer[k]
    });
    assert_close(&got, &want, 1e-5);
}

#[test]
fn missing_state_is_refused() {
    let Some((metal, queue)) = device() else { return };
    let (p, g) = (buffer(&metal, &[1.0]), buffer(&metal, &[1.0]));
    let tensor = OptimizerTensor {
        parameter: p.as_ref(),
        gradient: g.as_ref(),
        states: Vec::new(),
        elements: 1,
    };
    let rule = Sgd { lr: 0.1, momentum: 0.9, ..Default::default() };
    let error = rule.step(&queue, std::slice::from_ref(&tensor), 1).unwrap_err();
    assert!(matches!(&error, MetalError::InvalidArgument(t) if t.contains("state")), "{error}");
    let plain = Sgd { lr: 0.5, ..Default::default() };
    assert!(plain.step(&queue, &[], 1).is_err());
    wait(&plain.step(&queue, &[tensor], 1).unwrap());
    assert_close(&read(&p), &[0.5], 1e-6);
}
