//! Reading of files, with errors that name them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use onestep::layers::{Model, ModelSpec};

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: cannot read the file", path.display()))
}

/// A model's specification from a JSON file.
pub(crate) fn read_model_spec(path: &Path) -> Result<ModelSpec> {
    let text = read_text(path)?;
    ModelSpec::from_json(&text).with_context(|| format!("{}", path.display()))
}

/// A model from a JSON file, with all shapes inferred.
pub(crate) fn read_model(path: &Path) -> Result<Model> {
    let spec = read_model_spec(path)?;
    spec.compile().with_context(|| format!("{}: the model does not fit together", path.display()))
}
