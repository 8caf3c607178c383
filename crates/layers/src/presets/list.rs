//! The list of presets.

use super::{
    Build, Preset, audio, autoencoder, densenet, mobilenet, reference, resnet, small, transformers,
    unet, vgg,
};
use crate::spec::ModelSpec;

const PICTURE: &[usize] = &[3, 224, 224];

/// A reference network, which has one shape.
macro_rules! reference {
    ($name:ident) => {
        |input, classes| reference::resized(reference::$name(), input, classes)
    };
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    preset("mlp", "A perceptron with hidden layers of 256 and 128.", &[1, 28, 28], 10, small::mlp),
    preset("lenet5", "LeNet-5 (LeCun et al., 1998).", &[1, 28, 28], 10, small::lenet5),
    preset(
        "resnet18",
        "ResNet-18 (He et al., 2015), as torchvision's.",
        PICTURE,
        1000,
        resnet::resnet18,
    ),
    preset(
        "resnet34",
        "ResNet-34 (He et al., 2015), as torchvision's.",
        PICTURE,
        1000,
        resnet::resnet34,
    ),
    preset(
        "resnet50",
        "ResNet-50 (He et al., 2015), as torchvision's.",
        PICTURE,
        1000,
        resnet::resnet50,
    ),
    preset(
        "vgg11_bn",
        "VGG-11 with batch normalisation (Simonyan and Zisserman, 2014), as torchvision's.",
        PICTURE,
        1000,
        vgg::vgg11_bn,
    ),
    preset(
        "densenet121",
        "DenseNet-121 (Huang et al., 2017), as torchvision's.",
        PICTURE,
        1000,
        densenet::densenet121,
    ),
    preset(
        "mobilenet_v2",
        "MobileNetV2 (Sandler et al., 2018), as torchvision's.",
        PICTURE,
        1000,
        mobilenet::mobilenet_v2,
    ),
    preset(
        "seed_cnn",
        "One small convolution: a reference workload.",
        &[3, 32, 32],
        2,
        reference!(seed_cnn),
    ),
    preset(
        "mlp_mnist",
        "Two hidden layers on 784 pixels: a reference workload.",
        &[784],
        10,
        reference!(mlp_mnist),
    ),
    preset(
        "seed_custom",
        "A 5x5 convolution and a wide dense layer: a reference workload.",
        &[3, 64, 64],
        10,
        reference!(seed_custom),
    ),
    preset(
        "cifar_cnn",
        "Two convolutions with pooling: a reference workload.",
        &[3, 32, 32],
        10,
        reference!(cifar_cnn),
    ),
    preset(
        "resnet18_cifar",
        "ResNet-18 with a stem for 32x32 pictures: a reference workload.",
        &[3, 32, 32],
        10,
        reference!(resnet18_cifar),
    ),
    preset(
        "next_char",
        "What follows each of a text's characters: an embedding and a dense layer. The classes are the \
         vocabulary.",
        &[32],
        64,
        small::next_char,
    ),
    preset(
        "nano_gpt",
        "A GPT of 4 layers, 128 wide, as nanoGPT (Karpathy, 2022) trains it on a CPU. The classes are the vocabulary.",
        &[64],
        65,
        transformers::nano_gpt,
    ),
    preset(
        "nano_gpt_384",
        "nanoGPT's network for characters: 6 layers, 384 wide, dropout 0.2.",
        &[256],
        65,
        transformers::nano_gpt_384,
    ),
    preset(
        "char_gpt",
        "The GPT of 4 layers, 128 wide, of the reference workload.",
        &[64],
        65,
        transformers::char_gpt,
    ),
    preset(
        "vit_tiny",
        "ViT-Ti (Touvron et al., 2021) with patches of 4 x 4.",
        &[3, 32, 32],
        10,
        transformers::vit_tiny,
    ),
    Preset {
        name: "text_encoder",
        about: "Two encoder layers, 128 wide, over tokens, of which 0 fills up; 256 are bytes. For texts with \
                a class each.",
        input: &[128],
        classes: 2,
        build: Build::Scaled("tokens", 256, transformers::text_encoder),
    },
    preset(
        "seq2seq",
        "Two encoder and two decoder layers, 64 wide; the classes are the tokens of both sides.",
        &[10],
        12,
        transformers::seq2seq,
    ),
    Preset {
        name: "unet",
        about: "U-Net (Ronneberger et al., 2015), padded and normalised: scores for each pixel. `base=N` channels \
                at the top, 16 unless said.",
        input: &[1, 64, 64],
        classes: 1,
        build: Build::Scaled("base", 16, unet::unet),
    },
    preset(
        "conv_autoencoder",
        "Convolutions down to a code of 32 numbers and up again, against its own input. Classes have no part in it.",
        &[1, 28, 28],
        10,
        autoencoder::conv_autoencoder,
    ),
    preset(
        "audio_cnn",
        "Four one-dimensional convolutions over a recording, the first as wide as a filter bank's (Dai et al., 2016).",
        &[1, 8000],
        10,
        audio::audio_cnn,
    ),
];

const fn preset(
    name: &'static str,
    about: &'static str,
    input: &'static [usize],
    classes: usize,
    build: fn(&[usize], usize) -> ModelSpec,
) -> Preset {
    Preset { name, about, input, classes, build: Build::Plain(build) }
}
