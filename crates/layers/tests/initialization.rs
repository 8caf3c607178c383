//! How parameters begin.

use onestep_layers::{
    Dense, Fan, FanMode, Initializer, Kaiming, ModelBuilder, Nonlinearity, Uniform, Xavier,
};

#[test]
fn defaults_are_pytorchs() {
    let model = ModelBuilder::new([3, 9, 9])
        .conv2d(6, 5, 1, 0, true, "conv")
        .batch_norm("bn")
        .prelu(6, "act")
        .flatten("flat")
        .dense(4, true, "fc")
        .build()
        .unwrap();
    let begin: Vec<(&str, Vec<f32>)> = model.initial_parameters(3).collect();
    let of = |name: &str| &begin.iter().find(|(n, _)| *n == name).unwrap().1;
    let inside = |numbers: &[f32], fan_in: usize| {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let largest = numbers.iter().fold(0f32, |m, x| m.max(x.abs()));
        assert!(largest <= bound * 1.000_001, "{largest} is beyond {bound}");
        assert!(largest > 0.5 * bound, "{largest} is far below {bound}");
    };
    inside(of("conv.weight"), 75);
    inside(of("conv.bias"), 75);
    inside(of("fc.weight"), 150);
    inside(of("fc.bias"), 150);
    assert!(of("bn.weight").iter().all(|&w| w == 1.0));
    assert!(of("bn.bias").iter().all(|&b| b == 0.0));
    assert!(of("act.weight").iter().all(|&a| a == 0.25));

    let states: Vec<(&str, Vec<f32>)> = model.initial_states(0).collect();
    assert_eq!(states[0], ("bn.running_mean", vec![0.0; 6]));
    assert_eq!(states[1], ("bn.running_var", vec![1.0; 6]));
}

#[test]
fn numbers_depend_on_seed_and_name_alone() {
    let small = ModelBuilder::new([4]).dense(5, true, "fc").build().unwrap();
    let large = ModelBuilder::new([4]).dense(4, true, "first").dense(5, true, "fc");
    let large = large.build().unwrap();
    let numbers = |model: &onestep_layers::Model, name: &str, seed| {
        model.initial_parameters(seed).find(|(n, _)| *n == name).unwrap().1
    };
    assert_eq!(numbers(&small, "fc.weight", 7), numbers(&large, "fc.weight", 7));
    assert_ne!(numbers(&small, "fc.weight", 7), numbers(&small, "fc.weight", 8));
    let (first, second) = (numbers(&large, "first.weight", 7), numbers(&large, "fc.weight", 7));
    assert_ne!(first[..16], second[..16]);
}

/// The sample standard deviation.
fn deviation(numbers: &[f32]) -> f64 {
    let n = numbers.len() as f64;
    let mean = numbers.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    (numbers.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

#[test]
fn deviations_follow_the_fans() {
    let fan = Fan { fan_in: 50, fan_out: 200 };
    let kaiming = |mode, nonlinearity, a| Kaiming { a, mode, nonlinearity };
    let leaky = kaiming(FanMode::FanIn, Nonlinearity::LeakyRelu, 1.0);
    let relu_out = kaiming(FanMode::FanOut, Nonlinearity::Relu, 0.0);
    let tanh = kaiming(FanMode::FanIn, Nonlinearity::Tanh, 0.0);
    let xavier = Xavier { gain: 2.0 };
    for (init, want) in [
        (Initializer::KaimingUniform(Kaiming::default()), (2.0f64 / 50.0).sqrt()),
        (Initializer::KaimingNormal(Kaiming::default()), (2.0f64 / 50.0).sqrt()),
        (Initializer::KaimingNormal(leaky), (1.0f64 / 50.0).sqrt()),
        (Initializer::KaimingUniform(relu_out), (2.0f64 / 200.0).sqrt()),
        (Initializer::KaimingNormal(tanh), 5.0 / 3.0 / 50f64.sqrt()),
        (Initializer::XavierUniform(xavier), 2.0 * (2.0f64 / 250.0).sqrt()),
        (Initializer::XavierNormal(xavier), 2.0 * (2.0f64 / 250.0).sqrt()),
        (Initializer::Uniform(Uniform { low: -1.0, high: 3.0 }), 4.0 / 12f64.sqrt()),
        (Initializer::normal(5.0, 0.5), 0.5),
    ] {
        let got = deviation(&init.fill(40_000, fan, 1, "w"));
        assert!((got / want - 1.0).abs() < 0.02, "{init:?}: {got} is not {want}");
    }
}

#[test]
fn fans_are_counted_as_in_pytorch() {
    let model = ModelBuilder::new([4, 8, 8])
        .layer(onestep_layers::Conv2d { groups: 2, ..onestep_layers::Conv2d::new(6, [3, 5]) })
        .flatten("flat")
        .dense(7, false, "fc")
        .build()
        .unwrap();
    let fans: Vec<Fan> = model.parameters().iter().map(|p| p.fan).collect();
    assert_eq!(fans[0], Fan { fan_in: 2 * 15, fan_out: 6 * 15 });
    assert_eq!(fans[2], Fan { fan_in: 6 * 6 * 4, fan_out: 7 });
}

#[test]
fn a_layer_may_choose() {
    let weight_init = Initializer::constant(0.5);
    let layer = Dense { weight_init, bias_init: Initializer::Ones, ..Dense::new(2) };
    let model = ModelBuilder::new([3]).layer(layer).build().unwrap();
    let begin: Vec<Vec<f32>> = model.initial_parameters(0).map(|(_, data)| data).collect();
    assert_eq!(begin, [vec![0.5; 6], vec![1.0; 2]]);
}
