//! Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015).

use super::{conv, fan_out};
use crate::builder::{Branch, ModelBuilder};
use crate::layer::MaxPool2d;
use crate::spec::ModelSpec;

pub(super) fn resnet18(input: &[usize], classes: usize) -> ModelSpec {
    resnet(input, classes, [2, 2, 2, 2], Kind::Basic)
}

pub(super) fn resnet34(input: &[usize], classes: usize) -> ModelSpec {
    resnet(input, classes, [3, 4, 6, 3], Kind::Basic)
}

pub(super) fn resnet50(input: &[usize], classes: usize) -> ModelSpec {
    resnet(input, classes, [3, 4, 6, 3], Kind::Bottleneck)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Two 3x3 convolutions.
    Basic,
    /// A 3x3 convolution between two of 1x1, which end in four times the channels.
    Bottleneck,
}

fn resnet(input: &[usize], classes: usize, depths: [usize; 4], kind: Kind) -> ModelSpec {
    let pool = MaxPool2d { stride: Some(2.into()), padding: 1.into(), ..MaxPool2d::new(3) };
    let mut model = ModelBuilder::new(input)
        .layer(conv(64, 7, 2, 3, fan_out()).named("conv1"))
        .batch_norm("bn1")
        .relu("relu")
        .layer(pool.named("maxpool"));
    let mut before = "maxpool".to_owned();
    for ((stage, width), depth) in (1..).zip([64, 128, 256, 512]).zip(depths) {
        let name = format!("layer{stage}");
        let first = if stage == 1 { 1 } else { 2 };
        model = model.block(|list| blocks(list, width, depth, first, kind, &before), &name);
        before = name;
    }
    model.adaptive_avg_pool2d(1, "avgpool").flatten("flatten").dense(classes, true, "fc").spec()
}

/// The blocks of a stage behind the layer called `before`; the first takes steps of `stride`.
fn blocks(
    mut list: Branch,
    width: usize,
    depth: usize,
    stride: usize,
    kind: Kind,
    before: &str,
) -> Branch {
    let mut before = before.to_owned();
    for i in 0..depth {
        let stride = if i == 0 { stride } else { 1 };
        // The first block of all keeps its channels where it is a basic one.
        let reshapes = i == 0 && (stride > 1 || kind == Kind::Bottleneck);
        list = list.block(|b| block(b, width, stride, kind, reshapes, &before), &i.to_string());
        before = i.to_string();
    }
    list
}

fn block(
    list: Branch,
    width: usize,
    stride: usize,
    kind: Kind,
    reshapes: bool,
    before: &str,
) -> Branch {
    let (list, out, last) = match kind {
        Kind::Basic => {
            let list = list
                .layer(conv(width, 3, stride, 1, fan_out()).named("conv1"))
                .batch_norm("bn1")
                .relu("relu1")
                .layer(conv(width, 3, 1, 1, fan_out()).named("conv2"))
                .batch_norm("bn2");
            (list, width, "bn2")
        }
        Kind::Bottleneck => {
            let list = list
                .layer(conv(width, 1, 1, 0, fan_out()).named("conv1"))
                .batch_norm("bn1")
                .relu("relu1")
                .layer(conv(width, 3, stride, 1, fan_out()).named("conv2"))
                .batch_norm("bn2")
                .relu("relu2")
                .layer(conv(4 * width, 1, 1, 0, fan_out()).named("conv3"))
                .batch_norm("bn3");
            (list, 4 * width, "bn3")
        }
    };
    if !reshapes {
        return list.sum([last, before], "add").relu("relu");
    }
    let shortcut =
        |b: Branch| b.layer(conv(out, 1, stride, 0, fan_out()).named("0")).batch_norm("1");
    list.block(shortcut, "downsample")
        .taking([before])
        .sum([last, "downsample"], "add")
        .relu("relu")
}
