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

mod audio;
mod autoencoder;
mod densenet;
mod list;
mod mobilenet;
pub mod reference;
mod resnet;
mod small;
mod transformers;
mod unet;
mod vgg;

use crate::error::LayerError;
use crate::geometry::{Padding, Pair};
use crate::initializer::{FanMode, Initializer, Kaiming, Nonlinearity};
use crate::layer::{Conv2d, Dense};
use crate::spec::ModelSpec;
pub use list::PRESETS;
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
    build: Build,
}

/// How the model is made of the shape of a sample and the classes.
#[derive(Clone, Copy, Debug)]
enum Build {
    Plain(fn(&[usize], usize) -> ModelSpec),
    /// Of another size too, by the name of its option, which is this one unless another is asked for.
    Scaled(&'static str, usize, fn(&[usize], usize, usize) -> ModelSpec),
}

impl Preset {
    /// The model for samples of a shape and so many classes.
    pub fn build(&self, input: &[usize], classes: usize) -> ModelSpec {
        self.build_with(input, classes, None)
    }

    fn build_with(&self, input: &[usize], classes: usize, size: Option<usize>) -> ModelSpec {
        let mut spec = match self.build {
            Build::Plain(build) => build(input, classes),
            Build::Scaled(_, usual, build) => build(input, classes, size.unwrap_or(usual)),
        };
        self.name.clone_into(&mut spec.name);
        spec
    }

    /// The model with its own input and classes.
    pub fn spec(&self) -> ModelSpec {
        self.build(self.input, self.classes)
    }
}

/// The preset of a name, in which `-` and `_` are one: `next-char` is `next_char`.
pub fn find(name: &str) -> Option<&'static Preset> {
    let name = name.replace('-', "_");
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
    /// Its size by an option of its own.
    size: Option<usize>,
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
        let mut request = Request { preset, input: None, classes: None, size: None };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let scaled = request.scaled();
            let wanted = match scaled {
                Some(own) => format!("classes=N, input=SIZExSIZE… or {own}=N"),
                None => "classes=N or input=SIZExSIZE…".to_owned(),
            };
            let wrong = || LayerError::option(name, "option", &wanted[..], format!("`{option}`"));
            let size =
                |text: &str| text.parse().ok().filter(|&size: &usize| size > 0).ok_or_else(wrong);
            match option.split_once('=') {
                Some(("classes", count)) => request.classes = Some(size(count)?),
                Some((own, count)) if Some(own) == scaled => request.size = Some(size(count)?),
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
        self.preset.build_with(input, self.classes.unwrap_or(self.preset.classes), self.size)
    }

    /// The name of its own option for a size.
    fn scaled(&self) -> Option<&'static str> {
        match self.preset.build {
            Build::Plain(_) => None,
            Build::Scaled(own, ..) => Some(own),
        }
    }

    /// Takes the number of tokens of data whose inputs are tokens, where the model asks for it and none was
    /// said. Tells what was taken.
    ///
    /// ```
    /// let mut request = onestep_layers::presets::Request::parse("text_encoder")?;
    /// assert_eq!(request.take_tokens("reviews", 5000)?.as_deref(), Some("tokens=5000"));
    /// let model = request.spec().compile()?;
    /// assert_eq!(model.parameters()[0].info.shape.dims(), [5000, 128]);
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// [`LayerError::Option`] where fewer were said.
    pub fn take_tokens(&mut self, data: &str, count: usize) -> Result<Option<String>, LayerError> {
        match (self.scaled(), self.size) {
            (Some("tokens"), Some(said)) if said < count => {
                let wanted = format!("at least {count}, as {data} has");
                Err(LayerError::option(self.preset.name, "tokens", wanted, said))
            }
            (Some("tokens"), None) => {
                self.size = Some(count);
                Ok(Some(format!("tokens={count}")))
            }
            _ => Ok(None),
        }
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
        let classes = self.classes.unwrap_or(classes);
        Ok((self.preset.build_with(input, classes, self.size), taken))
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
