//! Well-known models by name.
//!
//! Those of torchvision have the names and shapes of its state dicts, so that its weights load, and
//! begin as it begins them. The others are the networks that the reference workloads measure, and two
//! to start from.
//!
//! ```
//! use onestep_layers::presets;
//! let spec = presets::parse("resnet18:classes=10,input=3x32x32")?;
//! let model = spec.compile()?;
//! assert_eq!(model.output_shape().dims(), &[10]);
//! assert!(model.parameters().iter().any(|p| p.info.name == "layer1.0.conv1.weight"));
//! # Ok::<(), onestep_layers::LayerError>(())
//! ```

mod densenet;
mod mobilenet;
pub mod reference;
mod resnet;
mod small;
mod transformers;
mod vgg;

use crate::error::LayerError;
use crate::geometry::{Padding, Pair};
use crate::initializer::{FanMode, Initializer, Kaiming, Nonlinearity};
use crate::layer::{Conv2d, Dense};
use crate::spec::ModelSpec;
pub use small::perceptron;

/// A model that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is, and where it comes from.
    pub about: &'static str,
    /// The shape of a sample, unless another is asked for.
    pub input: &'static [usize],
    /// The classes, unless other ones are asked for.
    pub classes: usize,
    build: fn(&[usize], usize) -> ModelSpec,
}

impl Preset {
    /// The model for samples of a shape and so many classes.
    pub fn build(&self, input: &[usize], classes: usize) -> ModelSpec {
        let mut spec = (self.build)(input, classes);
        self.name.clone_into(&mut spec.name);
        spec
    }

    /// The model with its own input and classes.
    pub fn spec(&self) -> ModelSpec {
        self.build(self.input, self.classes)
    }
}

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
        "seed-cnn",
        "One small convolution: a reference workload.",
        &[3, 32, 32],
        2,
        reference!(seed_cnn),
    ),
    preset(
        "mlp-mnist",
        "Two hidden layers on 784 pixels: a reference workload.",
        &[784],
        10,
        reference!(mlp_mnist),
    ),
    preset(
        "seed-custom",
        "A 5x5 convolution and a wide dense layer: a reference workload.",
        &[3, 64, 64],
        10,
        reference!(seed_custom),
    ),
    preset(
        "cifar-cnn",
        "Two convolutions with pooling: a reference workload.",
        &[3, 32, 32],
        10,
        reference!(cifar_cnn),
    ),
    preset(
        "resnet18-cifar",
        "ResNet-18 with a stem for 32x32 pictures: a reference workload.",
        &[3, 32, 32],
        10,
        reference!(resnet18_cifar),
    ),
    preset(
        "next-char",
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
    preset(
        "text_encoder",
        "Two encoder layers, 128 wide, over bytes; 0 fills up.",
        &[128],
        2,
        transformers::text_encoder,
    ),
    preset(
        "seq2seq",
        "Two encoder and two decoder layers, 64 wide; the classes are the tokens of both sides.",
        &[10],
        12,
        transformers::seq2seq,
    ),
];

const fn preset(
    name: &'static str,
    about: &'static str,
    input: &'static [usize],
    classes: usize,
    build: fn(&[usize], usize) -> ModelSpec,
) -> Preset {
    Preset { name, about, input, classes, build }
}

/// The preset of a name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// A model from a text: `resnet18`, or with options `resnet18:classes=10,input=3x32x32`.
///
/// # Errors
/// [`LayerError::Option`] for a name that no preset has, with those there are, or for an option that
/// is none or out of range.
pub fn parse(text: &str) -> Result<ModelSpec, LayerError> {
    Ok(Request::parse(text)?.spec())
}

/// A preset that was asked for, with the sizes that were said.
#[derive(Clone, Debug)]
pub struct Request {
    preset: &'static Preset,
    input: Option<Vec<usize>>,
    classes: Option<usize>,
}

impl Request {
    /// Reads what [`parse`] does.
    ///
    /// # Errors
    /// Those of [`parse`].
    pub fn parse(text: &str) -> Result<Self, LayerError> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let preset = find(name).ok_or_else(|| {
            let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            LayerError::option("model", "preset", format!("one of {}", known.join(", ")), name)
        })?;
        let mut request = Request { preset, input: None, classes: None };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let wanted = "classes=N or input=SIZExSIZE…";
            let wrong = || LayerError::option(name, "option", wanted, format!("`{option}`"));
            let size =
                |text: &str| text.parse().ok().filter(|&size: &usize| size > 0).ok_or_else(wrong);
            match option.split_once('=') {
                Some(("classes", count)) => request.classes = Some(size(count)?),
                Some(("input", sizes)) => {
                    let sizes = sizes.split('x').map(size).collect::<Result<Vec<_>, _>>()?;
                    request.check_rank(&sizes, "")?;
                    request.input = Some(sizes);
                }
                _ => return Err(wrong()),
            }
        }
        Ok(request)
    }

    fn check_rank(&self, input: &[usize], whose: &str) -> Result<(), LayerError> {
        let Preset { name, input: usual, .. } = self.preset;
        if input.len() == usual.len() || *name == "mlp" {
            return Ok(());
        }
        let wanted = format!("{} sizes", usual.len());
        Err(LayerError::option(name, "input", wanted, format!("{}{whose}", sizes(input))))
    }

    /// The model, with the preset's own sizes where none were said.
    pub fn spec(&self) -> ModelSpec {
        let input = self.input.as_deref().unwrap_or(self.preset.input);
        self.preset.build(input, self.classes.unwrap_or(self.preset.classes))
    }

    /// The model for data: the shape of its samples and its classes (or values to predict) count where
    /// none were said. Tells which of them were taken from the data.
    ///
    /// ```
    /// use onestep_layers::presets::Request;
    /// let (spec, taken) = Request::parse("lenet5")?.for_data("digits", &[1, 12, 12], 7)?;
    /// assert_eq!(spec.compile()?.output_shape().dims(), &[7]);
    /// assert_eq!(taken, ["input=1x12x12", "classes=7"]);
    /// let error = Request::parse("lenet5:classes=5")?.for_data("digits", &[1, 12, 12], 7);
    /// assert!(error.unwrap_err().to_string().contains("at least 7, as digits has, got 5"));
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// [`LayerError::Option`] for a size that was said and is another one than the data's; more
    /// classes than the data has are no other.
    pub fn for_data(
        &self,
        data: &str,
        input: &[usize],
        classes: usize,
    ) -> Result<(ModelSpec, Vec<String>), LayerError> {
        let name = self.preset.name;
        let mut taken = Vec::new();
        match &self.input {
            Some(said) if said != input => {
                let wanted = format!("{}, as the samples of {data} are", sizes(input));
                return Err(LayerError::option(name, "input", wanted, sizes(said)));
            }
            Some(_) => {}
            None => {
                self.check_rank(input, &format!(" of {data}"))?;
                taken.push(format!("input={}", sizes(input)));
            }
        }
        match self.classes {
            Some(said) if said < classes => {
                let wanted = format!("at least {classes}, as {data} has");
                return Err(LayerError::option(name, "classes", wanted, said));
            }
            Some(_) => {}
            None => taken.push(format!("classes={classes}")),
        }
        Ok((self.preset.build(input, self.classes.unwrap_or(classes)), taken))
    }
}

/// Sizes as options have them: `3x32x32`.
pub fn sizes(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// The presets as a table for documents.
pub fn table() -> String {
    let mut table =
        "| name | input | classes | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    for Preset { name, about, input, classes, .. } in PRESETS {
        table.push_str(&format!("| `{name}` | {} | {classes} | {about} |\n", sizes(input)));
    }
    table
}

/// Normal with the standard deviation `sqrt(2 / fan_out)`, as torchvision begins convolutions.
fn fan_out() -> Initializer {
    Initializer::KaimingNormal(Kaiming {
        mode: FanMode::FanOut,
        nonlinearity: Nonlinearity::Relu,
        ..Kaiming::default()
    })
}

/// A convolution without bias.
fn conv(
    channels: usize,
    kernel: impl Into<Pair>,
    stride: usize,
    padding: usize,
    weight_init: Initializer,
) -> Conv2d {
    Conv2d {
        stride: stride.into(),
        padding: Padding::Explicit(padding.into()),
        bias: false,
        weight_init,
        ..Conv2d::new(channels, kernel)
    }
}

/// A dense layer whose weight is normal with the standard deviation 0.01 and whose bias is 0.
fn narrow_dense(features: usize) -> Dense {
    let weight_init = Initializer::normal(0.0, 0.01);
    Dense { weight_init, bias_init: Initializer::Zeros, ..Dense::new(features) }
}
