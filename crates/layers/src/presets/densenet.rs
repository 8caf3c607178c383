//! Densely connected networks (Huang et al., "Densely Connected Convolutional Networks", 2017).

use super::conv;
use crate::builder::{Branch, ModelBuilder};
use crate::initializer::{FanMode, Initializer, Kaiming};
use crate::layer::{Concat, Dense, MaxPool2d};
use crate::spec::ModelSpec;

/// Channels that each layer adds.
const GROWTH: usize = 32;

pub(super) fn densenet121(input: &[usize], classes: usize) -> ModelSpec {
    let classifier = Dense { bias_init: Initializer::Zeros, ..Dense::new(classes) };
    ModelBuilder::new(input)
        .block(features, "features")
        .relu("relu")
        .adaptive_avg_pool2d(1, "avgpool")
        .flatten("flatten")
        .layer(classifier.named("classifier"))
        .spec()
}

/// Normal with the standard deviation `sqrt(2 / fan_in)`.
fn fan_in() -> Initializer {
    Initializer::KaimingNormal(Kaiming { mode: FanMode::FanIn, ..Kaiming::default() })
}

fn features(list: Branch) -> Branch {
    let pool = MaxPool2d { stride: Some(2.into()), padding: 1.into(), ..MaxPool2d::new(3) };
    let mut list = list
        .layer(conv(64, 7, 2, 3, fan_in()).named("conv0"))
        .batch_norm("norm0")
        .relu("relu0")
        .layer(pool.named("pool0"));
    let (mut channels, mut before) = (64, "pool0".to_owned());
    for (stage, depth) in (1..).zip([6, 12, 24, 16]) {
        list = list.block(|b| dense_block(b, depth, &before), &format!("denseblock{stage}"));
        channels += depth * GROWTH;
        if stage < 4 {
            channels /= 2;
            before = format!("transition{stage}");
            list = list.block(|b| transition(b, channels), &before);
        }
    }
    list.batch_norm("norm5")
}

/// Each layer takes all that the block has so far, and adds its own to it.
fn dense_block(mut list: Branch, depth: usize, before: &str) -> Branch {
    let mut before = before.to_owned();
    for i in 1..=depth {
        let (layer, joined) = (format!("denselayer{i}"), format!("joined{i}"));
        let inputs = [before, layer.clone()];
        list = list.block(dense_layer, &layer);
        list = list.layer(Concat::inputs().named(&joined)).taking(inputs);
        before = joined;
    }
    list
}

fn dense_layer(list: Branch) -> Branch {
    list.batch_norm("norm1")
        .relu("relu1")
        .layer(conv(4 * GROWTH, 1, 1, 0, fan_in()).named("conv1"))
        .batch_norm("norm2")
        .relu("relu2")
        .layer(conv(GROWTH, 3, 1, 1, fan_in()).named("conv2"))
}

fn transition(list: Branch, channels: usize) -> Branch {
    list.batch_norm("norm")
        .relu("relu")
        .layer(conv(channels, 1, 1, 0, fan_in()).named("conv"))
        .avg_pool2d(2, "pool")
}
