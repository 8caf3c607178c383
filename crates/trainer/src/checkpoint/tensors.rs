//! The state table as safetensors.

use std::path::Path;

use onestep_engine::{StateEntry, StateKind, StateLayout, StateTable};
use onestep_layers::WeightLayout;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::TrainerError;
use crate::snapshot::Snapshot;
use crate::weights;

/// A file's content.
pub(super) struct Serialized {
    pub(super) bytes: Vec<u8>,
    /// The first tensor with a value that is not finite.
    pub(super) not_finite: Option<String>,
}

/// The tensors of some kinds from the device, or from `instead` where it has them.
pub(super) fn serialize(
    state: &StateTable,
    instead: Option<&Snapshot>,
    keep: impl Fn(StateKind) -> bool,
) -> Result<Serialized, TrainerError> {
    let kept = state.layout().entries().iter().filter(|entry| keep(entry.kind));
    serialize_values(kept.map(|entry| {
        let other = instead.and_then(|snapshot| snapshot.get(&entry.name));
        let values = match other {
            Some(values) => values.to_vec(),
            None => state.read(&entry.name)?,
        };
        Ok((entry, values))
    }))
}

/// The tensors of a snapshot.
pub(super) fn serialize_snapshot(
    layout: &StateLayout,
    snapshot: &Snapshot,
) -> Result<Serialized, TrainerError> {
    let tensors = snapshot.tensors.iter().chain(&snapshot.copies);
    serialize_values(tensors.map(|(name, values)| Ok((layout.entry(name)?, values.clone()))))
}

fn serialize_values<'a>(
    values: impl Iterator<Item = Result<(&'a StateEntry, Vec<f32>), TrainerError>>,
) -> Result<Serialized, TrainerError> {
    let mut tensors: Vec<(&StateEntry, Vec<u8>)> = Vec::new();
    let mut not_finite = None;
    for tensor in values {
        let (entry, values) = tensor?;
        if not_finite.is_none() && values.iter().any(|value| !value.is_finite()) {
            not_finite = Some(entry.name.clone());
        }
        // Safetensors are little-endian everywhere.
        tensors.push((entry, values.iter().flat_map(|value| value.to_le_bytes()).collect()));
    }
    let unwritable = |error| TrainerError::checkpoint(Path::new("state table"), error);
    let views = tensors.iter().map(|(entry, bytes)| {
        let view = TensorView::new(Dtype::F32, entry.shape.dims().to_vec(), bytes)?;
        Ok((entry.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(unwritable)?;
    let mark = Some(weights::mark(WeightLayout::Onestep));
    let bytes = safetensors::serialize(views, mark).map_err(unwritable)?;
    Ok(Serialized { bytes, not_finite })
}

/// The tensors of some kinds from a file's content: each must be there, in its shape, and no
/// others.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    layout: &StateLayout,
    keep: impl Fn(&StateEntry) -> bool,
) -> Result<Snapshot, TrainerError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        TrainerError::checkpoint(path, format!("it is cut off or damaged ({error})"))
    })?;
    let wanted: Vec<&StateEntry> = layout.entries().iter().filter(|entry| keep(entry)).collect();
    if let Some(name) = file.names().iter().find(|name| !wanted.iter().any(|e| e.name == **name)) {
        let reason = format!("it has a tensor `{name}`, which the model does not have");
        return Err(TrainerError::checkpoint(path, reason));
    }
    let mut snapshot = Snapshot::default();
    for entry in wanted {
        let place = match entry.kind {
            StateKind::Optimizer => &mut snapshot.copies,
            _ => &mut snapshot.tensors,
        };
        place.push((entry.name.clone(), values(path, &file, entry)?));
    }
    Ok(snapshot)
}

fn values(
    path: &Path,
    file: &SafeTensors<'_>,
    entry: &StateEntry,
) -> Result<Vec<f32>, TrainerError> {
    let name = &entry.name;
    let tensor = file.tensor(name).map_err(|_| {
        TrainerError::checkpoint(path, format!("it has no tensor `{name}`, which the model needs"))
    })?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != entry.shape.dims() {
        let reason = format!(
            "tensor `{name}`: expected f32{}, got {:?}{:?}",
            entry.shape,
            tensor.dtype(),
            tensor.shape()
        );
        return Err(TrainerError::checkpoint(path, reason));
    }
    let (numbers, _) = tensor.data().as_chunks::<4>();
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}
