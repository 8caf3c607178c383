//! What layers are called.

use std::collections::{HashMap, HashSet};

use crate::error::LayerError;
use crate::limits::check_length;
use crate::placed::Placed;

/// The names of siblings: their own, or the type's with a number counted from 1 for each type.
pub(crate) fn names(layers: &[Placed], sequence: &str) -> Result<Vec<String>, LayerError> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut names = Vec::with_capacity(layers.len());
    for layer in layers {
        let count = counts.entry(layer.display_type()).or_default();
        *count += 1;
        let name = match layer.name() {
            Some(name) => name.to_owned(),
            None => format!("{}{count}", layer.display_type()),
        };
        check_length(&format!("{sequence}: layer {}", names.len() + 1), &name)?;
        let sequence = sequence.to_owned();
        if name.is_empty() || name.contains('.') {
            return Err(LayerError::InvalidName { sequence, name });
        }
        if !seen.insert(name.clone()) {
            return Err(LayerError::DuplicateName { sequence, name });
        }
        names.push(name);
    }
    Ok(names)
}
