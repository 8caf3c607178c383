//! Reading of files, with errors that name them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use onestep::layers::{Model, ModelSpec, presets};

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: cannot read the file", path.display()))
}

/// A model's specification: the preset of a name, unless there is a file of that name, or a JSON file.
pub(crate) fn read_model_spec(path: &Path) -> Result<ModelSpec> {
    let text = path.to_str().unwrap_or_default();
    let name = text.split(':').next().unwrap_or_default();
    if presets::find(name).is_some() && !path.exists() {
        return Ok(presets::parse(text)?);
    }
    let text = read_text(path)?;
    ModelSpec::from_json(&text).with_context(|| format!("{}", path.display()))
}

/// A model by name or from a JSON file, with all shapes inferred.
pub(crate) fn read_model(path: &Path) -> Result<Model> {
    let spec = read_model_spec(path)?;
    spec.compile().with_context(|| format!("{}: the model does not fit together", path.display()))
}
