//! MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018).

use super::{conv, fan_out, narrow_dense};
use crate::builder::{Branch, ModelBuilder};
use crate::layer::Conv2d;
use crate::spec::ModelSpec;

/// How often channels are widened, those that come out, how many such blocks, and the first's stride.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

pub(super) fn mobilenet_v2(input: &[usize], classes: usize) -> ModelSpec {
    let classifier = |b: Branch| b.dropout(0.2, "0").layer(narrow_dense(classes).named("1"));
    ModelBuilder::new(input)
        .block(features, "features")
        .adaptive_avg_pool2d(1, "pool")
        .flatten("flatten")
        .block(classifier, "classifier")
        .spec()
}

fn features(list: Branch) -> Branch {
    let mut list = list.block(|b| activated(b, conv(32, 3, 2, 1, fan_out())), "0");
    let (mut channels, mut number) = (32, 1);
    for (widening, out, count, stride) in STAGES {
        for i in 0..count {
            let stride = if i == 0 { stride } else { 1 };
            let before = (number - 1).to_string();
            let skips = (stride == 1 && channels == out).then_some(before.as_str());
            let wide = widening * channels;
            let body = |b: Branch| bottleneck(b, widening > 1, wide, out, stride);
            let block = |b: Branch| match skips {
                Some(before) => b.block(body, "conv").sum(["conv", before], "add"),
                None => b.block(body, "conv"),
            };
            list = list.block(block, &number.to_string());
            (channels, number) = (out, number + 1);
        }
    }
    list.block(|b| activated(b, conv(1280, 1, 1, 0, fan_out())), &number.to_string())
}

/// A convolution, its normalisation and ReLU6.
fn activated(list: Branch, conv: Conv2d) -> Branch {
    list.layer(conv.named("0")).batch_norm("1").relu6("2")
}

/// Wide, by channel, and narrow again without an activation.
fn bottleneck(mut list: Branch, widens: bool, wide: usize, out: usize, stride: usize) -> Branch {
    if widens {
        list = list.block(|b| activated(b, conv(wide, 1, 1, 0, fan_out())), "0");
    }
    let first = usize::from(widens);
    let by_channel = Conv2d { groups: wide, ..conv(wide, 3, stride, 1, fan_out()) };
    list.block(|b| activated(b, by_channel), &first.to_string())
        .layer(conv(out, 1, 1, 0, fan_out()).named(&(first + 1).to_string()))
        .batch_norm(&(first + 2).to_string())
}
