//! Each update rule against the loop of its formula. Options that are sums of few powers of two
//! are exact as the f32 constants of the graph, so that both sides agree to f64.

use onestep_optimizer::{Adagrad, Adam, AdamW, Optimizer, OptimizerSpec, RmsProp, Sgd};

use crate::simulation::{Simulation, assert_close, parameter};

const STEPS: usize = 8;
const ELEMENTS: usize = 5;

/// Where options are exact in f32.
const EXACT: f64 = 1e-13;
/// Where options such as 0.999 are rounded to f32, or `ln beta` is.
const ROUNDED: f64 = 2e-6;

/// One scalar's past.
struct Scalar {
    p: f64,
    g: f64,
    t: f64,
    lr: f64,
}

/// Steps `spec` and the loop `formula`, whose `state` is in the order of `kinds`.
fn compare(
    spec: OptimizerSpec,
    tolerance: f64,
    kinds: &[&str],
    formula: impl Fn(Scalar, &mut [f64]) -> f64,
) {
    let listed: Vec<String> = spec.rule().states().into_iter().map(|s| s.name).collect();
    assert_eq!(listed, kinds);
    let initial: Vec<f64> = (0..ELEMENTS).map(|i| (i as f64 * 1.7).sin()).collect();
    let first_state: Vec<f64> = spec.rule().states().iter().map(|s| f64::from(s.initial)).collect();
    let mut wanted = initial.clone();
    let mut states = vec![first_state; ELEMENTS];
    let optimizer = Optimizer::from_spec(spec).unwrap();
    let parameters = [parameter("a", &[2, 2]), parameter("b", &[1])];
    let mut simulation = Simulation::new(&optimizer, &parameters, &initial);
    for step in 1..=STEPS {
        let lr = 0.5 / step as f64;
        let gradient: Vec<f64> =
            (0..ELEMENTS).map(|i| ((i * 7 + step * 3) as f64).cos() * 2.0).collect();
        simulation.step(lr, &gradient);
        for (i, p) in wanted.iter_mut().enumerate() {
            let scalar = Scalar { p: *p, g: gradient[i], t: step as f64, lr };
            *p = formula(scalar, &mut states[i]);
        }
        let what = format!("parameter after step {step}");
        assert_close(simulation.values("all", "parameter"), &wanted, tolerance, &what);
        for (k, kind) in kinds.iter().enumerate() {
            let wanted: Vec<f64> = states.iter().map(|s| s[k]).collect();
            let what = format!("{kind} after step {step}");
            assert_close(simulation.values("all", kind), &wanted, tolerance, &what);
        }
    }
}

#[test]
fn sgd() {
    compare(OptimizerSpec::Sgd(Sgd::default()), EXACT, &[], |x, _| x.p - x.lr * x.g);
    let decayed = Sgd { weight_decay: 0.25, ..Sgd::default() };
    compare(OptimizerSpec::Sgd(decayed), EXACT, &[], |x, _| x.p - x.lr * (x.g + 0.25 * x.p));
}

#[test]
fn sgd_with_momentum_starts_from_the_gradient_whatever_the_dampening() {
    for dampening in [0.0, 0.375] {
        let spec = Sgd { momentum: 0.875, dampening, weight_decay: 0.125, ..Sgd::default() };
        compare(OptimizerSpec::Sgd(spec), EXACT, &["momentum_buffer"], |x, s| {
            let d = x.g + 0.125 * x.p;
            s[0] = if x.t == 1.0 { d } else { 0.875 * s[0] + (1.0 - dampening) * d };
            x.p - x.lr * s[0]
        });
    }
}

#[test]
fn sgd_with_nesterovs_momentum() {
    let spec = Sgd { momentum: 0.75, nesterov: true, ..Sgd::default() };
    compare(OptimizerSpec::Sgd(spec), EXACT, &["momentum_buffer"], |x, s| {
        s[0] = if x.t == 1.0 { x.g } else { 0.75 * s[0] + x.g };
        x.p - x.lr * (x.g + 0.75 * s[0])
    });
}

fn adam_step(
    x: &Scalar,
    [beta1, beta2]: [f64; 2],
    eps: f64,
    (p, d): (f64, f64),
    s: &mut [f64],
) -> f64 {
    s[0] = beta1 * s[0] + (1.0 - beta1) * d;
    s[1] = beta2 * s[1] + (1.0 - beta2) * d * d;
    let divisor = match s.len() {
        3 => {
            s[2] = s[2].max(s[1]);
            s[2]
        }
        _ => s[1],
    };
    let root = divisor.sqrt() / (1.0 - beta2.powf(x.t)).sqrt();
    p - x.lr / (1.0 - beta1.powf(x.t)) * s[0] / (root + eps)
}

#[test]
fn adam() {
    let kinds = ["exp_avg", "exp_avg_sq"];
    compare(OptimizerSpec::Adam(Adam::default()), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.9, 0.999], 1e-8, (x.p, x.g), s)
    });
    let spec = Adam { betas: [0.5, 0.75], eps: 0.125, weight_decay: 0.25, ..Adam::default() };
    compare(OptimizerSpec::Adam(spec), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.5, 0.75], 0.125, (x.p, x.g + 0.25 * x.p), s)
    });
    let spec = Adam { betas: [0.0, 0.0], ..Adam::default() };
    compare(OptimizerSpec::Adam(spec), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.0, 0.0], 1e-8, (x.p, x.g), s)
    });
}

#[test]
fn adam_with_amsgrad() {
    let kinds = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];
    let spec = Adam { amsgrad: true, betas: [0.9, 0.5], ..Adam::default() };
    compare(OptimizerSpec::Adam(spec), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.9, 0.5], 1e-8, (x.p, x.g), s)
    });
}

#[test]
fn adamw() {
    let kinds = ["exp_avg", "exp_avg_sq"];
    compare(OptimizerSpec::AdamW(AdamW::default()), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.9, 0.999], 1e-8, (x.p * (1.0 - x.lr * 0.01), x.g), s)
    });
    let kinds = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];
    let spec = AdamW { amsgrad: true, weight_decay: 0.5, betas: [0.5, 0.5], ..AdamW::default() };
    compare(OptimizerSpec::AdamW(spec), ROUNDED, &kinds, |x, s| {
        adam_step(&x, [0.5, 0.5], 1e-8, (x.p * (1.0 - x.lr * 0.5), x.g), s)
    });
}

#[test]
fn rmsprop() {
    compare(OptimizerSpec::RmsProp(RmsProp::default()), ROUNDED, &["square_avg"], |x, s| {
        s[0] = 0.99 * s[0] + 0.01 * x.g * x.g;
        x.p - x.lr * x.g / (s[0].sqrt() + 1e-8)
    });
    let spec = RmsProp {
        alpha: 0.75,
        eps: 0.0625,
        weight_decay: 0.25,
        momentum: 0.5,
        centered: true,
        ..RmsProp::default()
    };
    let kinds = ["square_avg", "grad_avg", "momentum_buffer"];
    compare(OptimizerSpec::RmsProp(spec), EXACT, &kinds, |x, s| {
        let d = x.g + 0.25 * x.p;
        s[0] = 0.75 * s[0] + 0.25 * d * d;
        s[1] = 0.75 * s[1] + 0.25 * d;
        s[2] = 0.5 * s[2] + d / ((s[0] - s[1] * s[1]).sqrt() + 0.0625);
        x.p - x.lr * s[2]
    });
}

#[test]
fn centered_rmsprop_survives_a_variance_of_zero() {
    let spec = RmsProp { alpha: 0.0, centered: true, ..RmsProp::default() };
    let optimizer = Optimizer::from_spec(OptimizerSpec::RmsProp(spec)).unwrap();
    let mut simulation = Simulation::new(&optimizer, &[parameter("w", &[2])], &[1.0, 2.0]);
    simulation.step(0.01, &[0.1, 0.3]);
    assert!(simulation.values("all", "parameter").iter().all(|p| p.is_finite()));
}

#[test]
fn adagrad() {
    compare(OptimizerSpec::Adagrad(Adagrad::default()), ROUNDED, &["sum"], |x, s| {
        s[0] += x.g * x.g;
        x.p - x.lr * x.g / (s[0].sqrt() + 1e-10)
    });
    let spec = Adagrad {
        lr_decay: 0.5,
        weight_decay: 0.25,
        initial_accumulator_value: 0.75,
        eps: 0.125,
        ..Adagrad::default()
    };
    compare(OptimizerSpec::Adagrad(spec), EXACT, &["sum"], |x, s| {
        let d = x.g + 0.25 * x.p;
        s[0] += d * d;
        x.p - x.lr / (1.0 + (x.t - 1.0) * 0.5) * d / (s[0].sqrt() + 0.125)
    });
}

#[test]
fn only_rules_that_use_the_step_have_its_leaf() {
    for (name, uses_step) in [("sgd", false), ("rmsprop", false), ("adam", true), ("adamw", true)] {
        let optimizer = Optimizer::from_spec(name.parse().unwrap()).unwrap();
        let simulation = Simulation::new(&optimizer, &[parameter("w", &[2])], &[1.0, 2.0]);
        let graph = &simulation.update().graph;
        assert_eq!(graph.find_leaf("step").is_some(), uses_step, "{name}");
        assert!(graph.find_leaf("lr").is_some(), "{name}");
    }
}
