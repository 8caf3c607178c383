//! Reading of files, with errors that name them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use onestep::layers::{Model, ModelSpec, presets};

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: cannot read the file", path.display()))
}

/// A model as it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum ModelChoice {
    /// The specification.
    Spec(Box<ModelSpec>),
    /// A preset, whose sizes may follow from data.
    Preset(presets::Request),
}

impl ModelChoice {
    /// The preset of a name, unless there is a file of that name, or a JSON file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = path.to_str().unwrap_or_default();
        let name = text.split(':').next().unwrap_or_default();
        if presets::find(name).is_some() && !path.exists() {
            return Ok(ModelChoice::Preset(presets::Request::parse(text)?));
        }
        let text = read_text(path)?;
        let spec = ModelSpec::from_json(&text).with_context(|| format!("{}", path.display()))?;
        Ok(ModelChoice::Spec(Box::new(spec)))
    }

    /// The model, by itself.
    pub(crate) fn spec(self) -> ModelSpec {
        match self {
            ModelChoice::Spec(spec) => *spec,
            ModelChoice::Preset(request) => request.spec(),
        }
    }

    /// The model for samples of a shape, so many classes and, where they are tokens, so many of them; and
    /// what was taken from the data.
    pub(crate) fn for_data(
        self,
        data: &str,
        input: &[usize],
        (classes, tokens): (usize, Option<usize>),
    ) -> Result<(ModelSpec, Vec<String>)> {
        match self {
            ModelChoice::Spec(spec) => Ok((*spec, Vec::new())),
            ModelChoice::Preset(mut request) => {
                let tokens = tokens.map(|count| request.take_tokens(data, count)).transpose()?;
                let (spec, mut taken) = request.for_data(data, input, classes)?;
                taken.extend(tokens.flatten());
                Ok((spec, taken))
            }
        }
    }
}

/// A model by name or from a JSON file, with all shapes inferred.
pub(crate) fn read_model(path: &Path) -> Result<Model> {
    let spec = ModelChoice::read(path)?.spec();
    spec.compile().with_context(|| format!("{}: the model does not fit together", path.display()))
}
