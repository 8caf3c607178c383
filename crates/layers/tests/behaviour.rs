//! What layers compute that a gradient check does not see: statistics, masks, edges.

mod common;

use onestep_engine::ops::Op;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{Mode, Shape};
use onestep_layers::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm, Celu, Dropout, Elu, Gelu, GeluForm, Hardswish,
    LayerSpec, LogSigmoid, LogSoftmax, Mish, ModelBuilder, QuickGelu, Selu, Sigmoid, Silu, Softmax,
    Softplus, Softsign,
};

fn close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() < 1e-6 * (1.0 + w.abs()), "{got:?} is not {want:?}");
    }
}

#[test]
fn batch_norm_keeps_running_statistics() {
    let layer = BatchNorm { momentum: Some(0.25), ..BatchNorm::new() }.named("bn");
    let model = common::model_for(&layer.into(), &[2]).unwrap();
    assert_eq!(model.states().len(), 2);
    let forward = model.forward(Mode::Train, 4).unwrap();
    let names: Vec<&str> = forward.state_updates.iter().map(|u| u.name.as_str()).collect();
    assert_eq!(names, ["bn.running_mean", "bn.running_var"]);

    let mut leaves = common::fill(&model);
    let old = |name: &str| leaves[name].data.clone();
    let (old_mean, old_var) = (old("bn.running_mean"), old("bn.running_var"));
    let x = vec![1.0, 0.0, 2.0, 0.0, 3.0, 4.0, 6.0, 4.0];
    leaves.insert("input".into(), Array::new(Shape::from([4, 2]), x).unwrap());
    let targets: Vec<_> = forward.state_updates.iter().map(|u| u.value).collect();
    let new = evaluate(&forward.graph, &leaves, &Context::default(), &targets).unwrap();
    // Means 3 and 2; unbiased variances 14/3 and 16/3.
    close(&new[0].data, &[0.75 * old_mean[0] + 0.75, 0.75 * old_mean[1] + 0.5]);
    close(&new[1].data, &[0.75 * old_var[0] + 14.0 / 12.0, 0.75 * old_var[1] + 16.0 / 12.0]);

    for mode in [Mode::Evaluate, Mode::Predict] {
        assert!(model.forward(mode, 4).unwrap().state_updates.is_empty());
    }
}

#[test]
fn batch_norm_evaluates_with_running_statistics() {
    let model = common::model_for(&BatchNorm::new().named("bn").into(), &[2]).unwrap();
    let input = common::numbers(&[1, 2], 1, -2.0, 2.0);
    let leaves = common::fill(&model);
    let want: Vec<f64> = (0..2)
        .map(|c| {
            let of = |name: &str| leaves[name].data[c];
            let scale = of("bn.weight") / (of("bn.running_var") + 1e-5).sqrt();
            (input.data[c] - of("bn.running_mean")) * scale + of("bn.bias")
        })
        .collect();
    close(&common::output(&model, Mode::Evaluate, &input).data, &want);
}

#[test]
fn dropout_drops_the_right_share_and_keeps_the_mean() {
    let model = common::model_for(&Dropout::new(0.3).into(), &[1000]).unwrap();
    let input = Array::new(Shape::from([20, 1000]), vec![1.0; 20_000]).unwrap();
    let output = common::output(&model, Mode::Train, &input);
    let dropped = output.data.iter().filter(|&&y| y == 0.0).count() as f64 / 20_000.0;
    // Four standard errors.
    assert!((dropped - 0.3).abs() < 4.0 * (0.21f64 / 20_000.0).sqrt(), "{dropped}");
    assert!(output.data.iter().all(|&y| y == 0.0 || (y - 1.0 / 0.7).abs() < 1e-6));
    assert_eq!(common::output(&model, Mode::Evaluate, &input), input);

    let none = common::model_for(&Dropout::new(0.0).into(), &[1000]).unwrap();
    assert_eq!(common::output(&none, Mode::Train, &input), input);
}

#[test]
fn two_dropouts_draw_different_masks() {
    let model = ModelBuilder::new([200])
        .concat([&|b| b.dropout(0.5, "d"), &|b| b.dropout(0.5, "d")], "cat")
        .build()
        .unwrap();
    let input = Array::new(Shape::from([1, 200]), vec![1.0; 200]).unwrap();
    let output = common::output(&model, Mode::Train, &input).data;
    assert_ne!(output[..200], output[200..]);
}

#[test]
fn activations_stay_finite_far_out() {
    let layers: Vec<LayerSpec> = vec![
        Elu::default().into(),
        Gelu::default().into(),
        Gelu::new(GeluForm::Tanh).into(),
        Sigmoid::default().into(),
        Silu::default().into(),
        Softmax::default().into(),
        LogSoftmax::default().into(),
        Celu::default().into(),
        Selu::default().into(),
        Mish::default().into(),
        Softplus::default().into(),
        LogSigmoid::default().into(),
        Hardswish::default().into(),
        QuickGelu::default().into(),
        Softsign::default().into(),
    ];
    let x = vec![-1e4, -100.0, 0.0, 100.0, 1e4];
    for layer in layers {
        let model = common::model_for(&layer, &[5]).unwrap();
        let input = Array::new(Shape::from([1, 5]), x.clone()).unwrap();
        let mut forward = model.forward(Mode::Evaluate, 1).unwrap();
        let (fed, output) = (forward.input(), forward.output());
        let g = &mut forward.graph;
        let loss = g.sum_all(output).unwrap();
        let grad = onestep_engine::gradients(g, loss, &[fed]).unwrap()[0];
        let leaves = [("input".to_owned(), input)].into();
        for value in [output, grad] {
            let result = common::value(&forward.graph, &leaves, value);
            assert!(result.data.iter().all(|y| y.is_finite()), "{layer:?}: {result:?}");
        }
    }
}

#[test]
fn uneven_adaptive_pooling_averages_pytorchs_windows() {
    let model = common::model_for(&AdaptiveAvgPool2d::new([1, 3]).into(), &[1, 1, 5]).unwrap();
    let x = vec![1.0, 2.0, 4.0, 8.0, 16.0];
    let input = Array::new(Shape::from([1, 1, 1, 5]), x).unwrap();
    // Windows 0..2, 1..4 and 3..5.
    let output = common::output(&model, Mode::Predict, &input);
    close(&output.data, &[1.5, 14.0 / 3.0, 12.0]);
}

#[test]
fn values_carry_the_path_of_their_layer() {
    let model = ModelBuilder::new([3])
        .residual(|body| body.dense(3, true, "fc").relu("act"), |shortcut| shortcut, "block")
        .build()
        .unwrap();
    let forward = model.forward(Mode::Train, 2).unwrap();
    let labels: Vec<&str> =
        forward.graph.nodes().iter().filter_map(|node| node.label.as_deref()).collect();
    assert_eq!(labels.len(), forward.graph.nodes().len());
    for label in ["input", "block.body.fc", "block.body.act", "block"] {
        assert!(labels.contains(&label), "no {label} in {labels:?}");
    }
}

#[test]
fn pools_over_the_whole_picture_are_means() {
    let input = common::numbers(&[2, 3, 4, 5], 1, -2.0, 2.0);
    let want: Vec<f64> = input.data.chunks(20).map(|c| c.iter().sum::<f64>() / 20.0).collect();
    let layers: [LayerSpec; 3] = [
        AdaptiveAvgPool2d::new(1).into(),
        AvgPool2d::new([4, 5]).into(),
        AvgPool2d { ceil_mode: true, ..AvgPool2d::new([4, 5]) }.into(),
    ];
    for layer in layers {
        let model = common::model_for(&layer, &[3, 4, 5]).unwrap();
        let output = common::output(&model, Mode::Train, &input);
        assert_eq!(output.shape.dims(), [2, 3, 1, 1]);
        close(&output.data, &want);
        let graph = model.forward(Mode::Train, 2).unwrap().graph;
        assert!(graph.values().all(|v| !matches!(graph.op(v), Op::SumPool(_))), "{layer:?}");
    }
    // Padding that counts is no mean of the picture.
    let padded = AvgPool2d { padding: 1.into(), ..AvgPool2d::new([4, 5]) };
    let model = common::model_for(&padded.into(), &[3, 4, 5]).unwrap();
    assert_eq!(common::output(&model, Mode::Train, &input).shape.dims(), [2, 3, 1, 1]);
}
