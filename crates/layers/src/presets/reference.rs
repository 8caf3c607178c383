//! The networks of the reference workloads, with the layers' names of PyTorch's versions where
//! those have names.

use crate::builder::{Branch, ModelBuilder};
use crate::layer::{Gru, LayerSpec, Lstm, Select};
use crate::presets::{transformers, unet as unets};
use crate::spec::ModelSpec;

/// One small convolution on 32x32 pictures, two classes.
pub fn seed_cnn() -> ModelSpec {
    ModelBuilder::new([3, 32, 32])
        .name("seed_cnn")
        .conv2d(8, 3, 1, 1, true, "conv1")
        .relu("relu1")
        .adaptive_avg_pool2d(1, "pool")
        .flatten("flat")
        .dense(2, true, "fc")
        .spec()
}

/// A perceptron with two hidden layers on MNIST's 784 pixels.
pub fn mlp_mnist() -> ModelSpec {
    ModelBuilder::new([784])
        .name("mlp_mnist")
        .dense(256, true, "fc1")
        .relu("relu1")
        .dense(128, true, "fc2")
        .relu("relu2")
        .dense(10, true, "fc3")
        .spec()
}

/// Two convolutions on 64x64 pictures, the first of 5x5, then a wide dense layer.
pub fn seed_custom() -> ModelSpec {
    ModelBuilder::new([3, 64, 64])
        .name("seed_custom")
        .conv2d(32, 5, 1, 2, true, "conv1")
        .relu("relu1")
        .conv2d(64, 3, 2, 1, true, "conv2")
        .relu("relu2")
        .flatten("flat")
        .dense(128, true, "fc1")
        .relu("relu3")
        .dense(10, true, "fc2")
        .spec()
}

/// Two convolutions with pooling on CIFAR's 32x32 pictures.
pub fn cifar_cnn() -> ModelSpec {
    ModelBuilder::new([3, 32, 32])
        .name("cifar_cnn")
        .conv2d(32, 3, 1, 1, true, "conv1")
        .relu("relu1")
        .max_pool2d(2, "pool1")
        .conv2d(64, 3, 1, 1, true, "conv2")
        .relu("relu2")
        .max_pool2d(2, "pool2")
        .flatten("flat")
        .dense(128, true, "fc1")
        .relu("relu3")
        .dense(10, true, "fc2")
        .spec()
}

/// An LSTM of 256 over 64 steps of 64 features, and ten classes from its last output.
pub fn lstm() -> ModelSpec {
    last_step("lstm", Lstm::new(256).named("r"))
}

/// The same with a GRU.
pub fn gru() -> ModelSpec {
    last_step("gru", Gru::new(256).named("r"))
}

fn last_step(name: &str, layer: impl Into<LayerSpec>) -> ModelSpec {
    ModelBuilder::new([64, 64])
        .name(name)
        .layer(layer.into())
        .layer(Select::new(1, -1).named("last"))
        .dense(10, true, "f")
        .spec()
}

/// ResNet-18 (He et al., 2015, "Deep Residual Learning for Image Recognition") with the stem that
/// suits 32x32 pictures: one 3x3 convolution and no pooling.
pub fn resnet18_cifar() -> ModelSpec {
    let mut model = ModelBuilder::new([3, 32, 32])
        .name("resnet18")
        .conv2d(64, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1");
    let mut channels = 64;
    for (stage, width) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}_{block}", stage + 1);
            model = basic_block(model, channels, width, stride, &name);
            channels = width;
        }
    }
    model.adaptive_avg_pool2d(1, "pool").flatten("flat").dense(10, true, "fc").spec()
}

/// A U-Net with 16 channels at the top, one mask of 64x64 pictures.
pub fn unet() -> ModelSpec {
    named("unet", unets::unet(&[1, 64, 64], 1, 16))
}

/// A GPT of 4 layers, 128 wide, over 64 characters.
pub fn char_gpt() -> ModelSpec {
    named("char_gpt", transformers::char_gpt(&[64], 65))
}

/// A GPT of 6 layers, 384 wide, over 256 characters: nanoGPT's sizes, with char_gpt's options.
pub fn nano_gpt() -> ModelSpec {
    let sizes = transformers::Sizes { layers: 6, width: 384, heads: 6, dropout: 0.0 };
    named("nano_gpt", transformers::plain_gpt(256, 65, &sizes))
}

/// A GPT as [`char_gpt`] of other sizes, with heads of 32 numbers.
pub fn gpt(positions: usize, layers: usize, width: usize) -> ModelSpec {
    let sizes = transformers::Sizes { layers, width, heads: (width / 32).max(1), dropout: 0.0 };
    named("gpt", transformers::plain_gpt(positions, 65, &sizes))
}

/// ViT-Ti on 32x32 pictures in patches of 4 x 4.
pub fn vit_tiny() -> ModelSpec {
    named("vit_tiny", transformers::vit_tiny(&[3, 32, 32], 10))
}

/// Two encoder layers over 128 bytes, without dropout, which no two frameworks draw alike.
pub fn text_encoder() -> ModelSpec {
    named("text_encoder", transformers::encoder_of_text(128, (2, 256), 0.0))
}

fn named(name: &str, mut spec: ModelSpec) -> ModelSpec {
    name.clone_into(&mut spec.name);
    spec
}

/// Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where the shape changes.
fn basic_block(
    model: ModelBuilder,
    from: usize,
    to: usize,
    stride: usize,
    name: &str,
) -> ModelBuilder {
    let body = |branch: Branch| {
        branch
            .conv2d(to, 3, stride, 1, false, "conv1")
            .batch_norm("bn1")
            .relu("relu1")
            .conv2d(to, 3, 1, 1, false, "conv2")
            .batch_norm("bn2")
    };
    let shortcut = |branch: Branch| match (from == to, stride) {
        (true, 1) => branch,
        _ => branch.conv2d(to, 1, stride, 0, false, "conv").batch_norm("bn"),
    };
    model.residual(body, shortcut, name).relu(&format!("{name}_relu"))
}

/// A reference network for other samples and classes than it was made for.
pub(super) fn resized(mut spec: ModelSpec, input: &[usize], classes: usize) -> ModelSpec {
    if let Some(of_model) = spec.input_mut() {
        of_model.shape = input.to_vec();
    }
    if let Some(LayerSpec::Dense(last)) = spec.layers.last_mut().map(|placed| &mut placed.layer) {
        last.out_features = classes;
    }
    spec
}
