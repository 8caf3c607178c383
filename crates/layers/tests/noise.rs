//! What layers draw in training: shares, what is drawn together, mean and variance.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{Mode, Shape};
use onestep_layers::{
    AlphaDropout, DropMode, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout, LayerSpec, Rrelu,
    StochasticDepth,
};

fn run(layer: impl Into<LayerSpec>, mode: Mode, dims: &[usize], x: f64) -> Vec<f64> {
    let model = common::model_for(&layer.into(), &dims[1..]).unwrap();
    let input = Array::new(Shape::new(dims).unwrap(), vec![x; dims.iter().product()]).unwrap();
    common::output(&model, mode, &input).data
}

/// Each run of `together` numbers is either 0 or `kept`, and the share of zeros is `p`.
fn dropped(values: &[f64], together: usize, p: f64, kept: f64) {
    let groups: Vec<&[f64]> = values.chunks(together).collect();
    for group in &groups {
        let first = group[0];
        assert!(first == 0.0 || (first - kept).abs() < 1e-6, "{first}");
        assert!(group.iter().all(|&y| y == first), "{group:?}");
    }
    let share = groups.iter().filter(|group| group[0] == 0.0).count() as f64 / groups.len() as f64;
    // Four standard errors.
    assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / groups.len() as f64).sqrt(), "{share}");
}

#[test]
fn channels_and_samples_are_dropped_whole() {
    let train = Mode::Train;
    let kept = 1.0 / 0.7;
    dropped(&run(Dropout1d::new(0.3), train, &[40, 50, 3], 1.0), 3, 0.3, kept);
    dropped(&run(Dropout2d::new(0.3), train, &[40, 50, 2, 3], 1.0), 6, 0.3, kept);
    dropped(&run(Dropout3d::new(0.3), train, &[40, 50, 2, 1, 3], 1.0), 6, 0.3, kept);
    dropped(&run(StochasticDepth::new(0.3), train, &[2000, 4], 1.0), 4, 0.3, kept);
    let batch = StochasticDepth { mode: DropMode::Batch, ..StochasticDepth::new(0.3) };
    let together = run(batch, train, &[20, 4], 1.0);
    assert!(together.iter().all(|&y| y == together[0]), "{together:?}");
    assert!(together[0] == 0.0 || (together[0] - kept).abs() < 1e-6);
    assert!(run(StochasticDepth::new(1.0), train, &[3, 2], 1.0).iter().all(|&y| y == 0.0));
}

#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    // Of numbers with mean 0 and variance 1.
    let (samples, features) = (400, 60);
    let normal = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    for layer in [LayerSpec::from(AlphaDropout::new(0.3)), FeatureAlphaDropout::new(0.3).into()] {
        let model = common::model_for(&layer, &[features]).unwrap();
        let x = (0..samples * features).map(normal).collect();
        let input = Array::new(Shape::from([samples, features]), x).unwrap();
        let y = common::output(&model, Mode::Train, &input).data;
        let n = y.len() as f64;
        let mean = y.iter().sum::<f64>() / n;
        let variance = y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 / n.sqrt() && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
    let by_channel = run(FeatureAlphaDropout::new(0.3), Mode::Train, &[40, 5, 6], 1.0);
    assert!(by_channel.chunks(6).all(|channel| channel.iter().all(|&y| y == channel[0])));
    assert!(run(AlphaDropout::new(1.0), Mode::Train, &[3, 2], 1.0).iter().all(|&y| y == 0.0));
}

#[test]
fn drawn_slopes_are_between_their_bounds() {
    let y = run(Rrelu::new(0.2, 0.6), Mode::Train, &[50, 40], -1.0);
    assert!(y.iter().all(|y| (-0.6..=-0.2).contains(y)));
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    // Four standard errors.
    assert!((mean + 0.4).abs() < 4.0 * 0.4 / (12.0 * y.len() as f64).sqrt(), "{mean}");
    assert!(run(Rrelu::new(0.2, 0.6), Mode::Train, &[2, 3], 2.0).iter().all(|&y| y == 2.0));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let refusal = |layer: LayerSpec, sample: &[usize]| {
        common::model_for(&layer.named("d"), sample).unwrap_err().to_string()
    };
    assert!(refusal(Dropout2d::new(0.3).into(), &[4]).starts_with("d: expected [channels, height"));
    assert!(refusal(AlphaDropout::new(1.5).into(), &[4]).contains("p must be in [0, 1], got 1.5"));
    assert!(refusal(Rrelu::new(0.6, 0.2).into(), &[4]).contains("upper must be finite and at"));
}
