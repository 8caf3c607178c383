//! VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
//! 2014).

use super::{fan_out, narrow_dense};
use crate::builder::{Branch, ModelBuilder};
use crate::geometry::Padding;
use crate::initializer::Initializer;
use crate::layer::Conv2d;
use crate::spec::ModelSpec;

/// The channels of the convolutions, with a pooling where there is none.
const VGG11: [Option<usize>; 13] = [
    Some(64),
    None,
    Some(128),
    None,
    Some(256),
    Some(256),
    None,
    Some(512),
    Some(512),
    None,
    Some(512),
    Some(512),
    None,
];

pub(super) fn vgg11_bn(input: &[usize], classes: usize) -> ModelSpec {
    ModelBuilder::new(input)
        .block(features, "features")
        .adaptive_avg_pool2d(7, "avgpool")
        .flatten("flatten")
        .block(|b| classifier(b, classes), "classifier")
        .spec()
}

/// Layers are called by their numbers, as in torchvision.
fn features(mut list: Branch) -> Branch {
    let mut number = 0;
    let mut next = || {
        number += 1;
        (number - 1).to_string()
    };
    for channels in VGG11 {
        list = match channels {
            None => list.max_pool2d(2, &next()),
            Some(channels) => {
                let conv = Conv2d {
                    padding: Padding::Explicit(1.into()),
                    weight_init: fan_out(),
                    bias_init: Initializer::Zeros,
                    ..Conv2d::new(channels, 3)
                };
                list.layer(conv.named(&next())).batch_norm(&next()).relu(&next())
            }
        };
    }
    list
}

fn classifier(list: Branch, classes: usize) -> Branch {
    list.layer(narrow_dense(4096).named("0"))
        .relu("1")
        .dropout(0.5, "2")
        .layer(narrow_dense(4096).named("3"))
        .relu("4")
        .dropout(0.5, "5")
        .layer(narrow_dense(classes).named("6"))
}
