//! Output sizes of windows against a count of the windows themselves.

mod common;

use onestep_engine::Mode;
use onestep_layers::{AdaptiveAvgPool2d, AvgPool2d, Conv2d, MaxPool2d, Padding, Pair};
use proptest::prelude::*;

fn pair(least: usize, most: usize) -> impl Strategy<Value = [usize; 2]> {
    [least..=most, least..=most]
}

/// How many windows of `extent` begin at multiples of `stride` and end inside the padded axis.
fn windows(size: usize, padding: usize, extent: usize, stride: usize) -> usize {
    (0..).step_by(stride).take_while(|start| start + extent <= size + 2 * padding).count()
}

/// As [`windows`], with windows that hang over the edge if they begin inside the axis or the
/// padding before it, and the one before them leaves something over: PyTorch's `ceil_mode`.
fn ceil_windows(size: usize, padding: usize, extent: usize, stride: usize) -> usize {
    let padded = size + 2 * padding;
    let whole = windows(size, padding, extent, stride);
    let last_end = (whole - 1) * stride + extent;
    let one_more = last_end < padded && whole * stride < size + padding;
    whole + usize::from(one_more)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn convolutions(
        size in pair(1, 12), kernel in pair(1, 4), stride in pair(1, 4),
        padding in pair(0, 3), dilation in pair(1, 3), groups in 1usize..3,
    ) {
        let layer = Conv2d {
            stride: stride.into(),
            padding: padding.into(),
            dilation: dilation.into(),
            groups,
            ..Conv2d::new(2 * groups, kernel)
        };
        let want = [0, 1].map(|a| {
            windows(size[a], padding[a], dilation[a] * (kernel[a] - 1) + 1, stride[a])
        });
        let model = common::model_for(&layer.into(), &[groups, size[0], size[1]]);
        if want.contains(&0) {
            prop_assert!(model.is_err());
        } else {
            let model = model.unwrap();
            prop_assert_eq!(model.output_shape().dims(), &[2 * groups, want[0], want[1]]);
            prop_assert_eq!(model.parameter_count(), 2 * groups * (kernel[0] * kernel[1] + 1));
        }
    }

    #[test]
    fn same_padding_keeps_the_size(
        size in pair(1, 9), kernel in pair(1, 6), dilation in pair(1, 3),
    ) {
        let base = Conv2d::new(1, kernel);
        let layer = Conv2d { padding: Padding::Same, dilation: dilation.into(), ..base };
        let model = common::model_for(&layer.into(), &[1, size[0], size[1]]).unwrap();
        prop_assert_eq!(model.output_shape().dims(), &[1, size[0], size[1]]);
    }

    #[test]
    fn pools(
        size in pair(1, 12), kernel in pair(1, 4), stride in pair(1, 5),
        padding in pair(0, 2), ceil_mode: bool,
    ) {
        let padding = [0, 1].map(|a| padding[a].min(kernel[a] / 2));
        let count = if ceil_mode { ceil_windows } else { windows };
        let fits = (0..2).all(|a| kernel[a] <= size[a] + 2 * padding[a]);
        prop_assume!(fits);
        let want = [0, 1].map(|a| count(size[a], padding[a], kernel[a], stride[a]));
        let (stride, padding) = (Some(Pair::from(stride)), Pair::from(padding));
        let max = MaxPool2d { stride, padding, ceil_mode, ..MaxPool2d::new(kernel) };
        let avg = AvgPool2d { stride, padding, ceil_mode, ..AvgPool2d::new(kernel) };
        let excluding = AvgPool2d { count_include_pad: false, ..avg.clone() };
        let dims = [1, size[0], size[1]];
        for layer in [max.into(), avg.into()] {
            let model = common::model_for(&layer, &dims).unwrap();
            prop_assert_eq!(model.output_shape().dims(), &[1, want[0], want[1]]);
        }
        // Without padding every mean of ones is one, and no window is empty.
        let ones = onestep_engine::reference::Array::new(
            onestep_engine::Shape::from([1, 1, size[0], size[1]]),
            vec![1.0; size[0] * size[1]],
        ).unwrap();
        let model = common::model_for(&excluding.into(), &dims).unwrap();
        let means = common::output(&model, Mode::Predict, &ones);
        prop_assert!(means.data.iter().all(|m| (m - 1.0).abs() < 1e-6), "{:?}", means);
    }

    #[test]
    fn adaptive_pools_keep_the_mean_of_constants(size in pair(1, 9), outputs in pair(1, 9)) {
        let layer = AdaptiveAvgPool2d::new(outputs).into();
        let model = common::model_for(&layer, &[2, size[0], size[1]]).unwrap();
        prop_assert_eq!(model.output_shape().dims(), &[2, outputs[0], outputs[1]]);
        let elements = 2 * size[0] * size[1];
        let threes = onestep_engine::reference::Array::new(
            onestep_engine::Shape::from([1, 2, size[0], size[1]]),
            vec![3.0; elements],
        ).unwrap();
        let means = common::output(&model, Mode::Predict, &threes);
        prop_assert!(means.data.iter().all(|m| (m - 3.0).abs() < 1e-5), "{:?}", means);
    }
}
