//! Weights in safetensors files, in this library's layout or PyTorch's.
//!
//! The layout is what the caller says, else what the file says of itself, else what shapes and
//! names show ([`recognise`](state_dict::recognise)). Files written here say it. Adapters that PEFT has
//! saved are in PyTorch's layout, and are read by the names that they have here.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use onestep_layers::state_dict::{self, WeightLayout};
use onestep_layers::{LayerError, Model, StateTensor};
use onestep_memory::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::TrainerError;
use crate::atomic_file::write_atomically;
use crate::checkpoint::read_bounded;

/// What files of this library say of themselves, and what those of PyTorch do.
const OWN_MARK: (&str, &str) = ("layout", "onestep");
const PYTORCH_MARK: (&str, &str) = ("format", "pt");

/// Names that a message lists of a file.
const LISTED: usize = 6;

/// The most bytes that the header of a safetensors file has, by the format.
const LARGEST_HEADER: u64 = 100_000_000;

/// The most bytes that a file with the tensors of `model` can have, each number in 8.
fn largest_file(model: &Model) -> u64 {
    let parameters = model.parameters().iter().map(|p| p.info.shape.elements() as u64);
    let states = model.states().iter().map(|state| state.shape.elements() as u64);
    parameters.chain(states).sum::<u64>().saturating_mul(8).saturating_add(LARGEST_HEADER)
}

/// What the header of a weights file says of the layout.
pub(crate) fn mark(layout: WeightLayout) -> HashMap<String, String> {
    let (key, value) = match layout {
        WeightLayout::Onestep => OWN_MARK,
        WeightLayout::Pytorch => PYTORCH_MARK,
    };
    HashMap::from([(key.to_owned(), value.to_owned())])
}

/// The parameters of `model`, and those of its states that a safetensors file holds, in the layout
/// used here and in the model's order, with the layout that the file is in. Numbers may be f32, f64,
/// f16 or bf16; PyTorch's counts of batches are passed over.
///
/// # Errors
/// [`TrainerError::File`] where the file cannot be read, [`TrainerError::Weights`] where it is not
/// whole, has not the model's tensors, or could be in either layout while `layout` says nothing.
pub fn read(
    path: &Path,
    model: &Model,
    layout: Option<WeightLayout>,
) -> Result<(Vec<StateTensor>, WeightLayout), TrainerError> {
    let refuse = |reason: String| TrainerError::weights(path, reason);
    let File { tensors, says } = open(path, largest_file(model))?;
    let tensors = tensors.into_iter().map(|(_, tensor)| tensor.map_err(refuse));
    let tensors = tensors.collect::<Result<Vec<StateTensor>, TrainerError>>()?;
    let known = layout.or(says.filter(|says| *says == WeightLayout::Onestep));
    let layout = match known {
        Some(layout) => layout,
        None => match state_dict::recognise(model, &tensors).map_err(|e| refuse(e.to_string()))? {
            Some(layout) => layout,
            None => says.ok_or_else(|| refuse(UNCERTAIN.to_owned()))?,
        },
    };
    let names: Vec<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
    match state_dict::from_layout(model, tensors, layout) {
        Ok(read) => Ok((read, layout)),
        Err(error) => Err(refuse(explained(error, layout, names))),
    }
}

/// Tensors by their names in a file; those that are no floating-point numbers are a reason to refuse
/// it where they are wanted.
pub(crate) type Tensors = Vec<(String, Result<StateTensor, String>)>;

/// The content of a safetensors file.
pub(crate) struct File {
    pub(crate) tensors: Tensors,
    /// The layout that the file says of itself.
    pub(crate) says: Option<WeightLayout>,
}

/// Reads a file of at most so many bytes.
pub(crate) fn open(path: &Path, most: u64) -> Result<File, TrainerError> {
    let failed = |error| TrainerError::file(path, "read the weights")(error);
    let mut file = fs::File::open(path).map_err(failed)?;
    let bytes = read_bounded(&mut file, most).map_err(failed)?;
    let damaged =
        |error| TrainerError::weights(path, format!("no whole safetensors file ({error})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let adapters = file.names().into_iter().any(|name| name.starts_with(PEFT));
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let name = own_name(&name).unwrap_or(name);
        let tensor = numbers(&name, &view);
        (name, tensor)
    });
    let marked = |(key, value): (&str, &str)| {
        header.metadata().as_ref().and_then(|known| known.get(key)).is_some_and(|v| v == value)
    };
    let says = match (marked(OWN_MARK), marked(PYTORCH_MARK) || adapters) {
        (true, _) => Some(WeightLayout::Onestep),
        (false, true) => Some(WeightLayout::Pytorch),
        (false, false) => None,
    };
    Ok(File { tensors: tensors.collect(), says })
}

/// What PyTorch's PEFT puts before the names of a model's tensors.
const PEFT: &str = "base_model.model.";

/// The name here of a tensor that PEFT has written: `base_model.model.fc.lora_A.weight` is `fc.lora_a`.
fn own_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PEFT)?.replace(".base_layer.", ".");
    let rest = rest.replace(".modules_to_save.default.", ".").replace(".modules_to_save.", ".");
    let adapter = [("lora_A", "lora_a"), ("lora_B", "lora_b")].iter().find_map(|(theirs, own)| {
        let layer = rest
            .strip_suffix(&format!(".{theirs}.weight"))
            .or_else(|| rest.strip_suffix(&format!(".{theirs}.default.weight")))?;
        Some(format!("{layer}.{own}"))
    });
    Some(adapter.unwrap_or(rest))
}

/// A tensor as f32, or why it cannot be.
fn numbers(name: &str, view: &TensorView<'_>) -> Result<StateTensor, String> {
    let count = name.ends_with(state_dict::BATCH_COUNT) && view.dtype() == Dtype::I64;
    let data = if count { Some(counts(view)) } else { floats(view) };
    let data = data.ok_or_else(|| {
        let got = format!("{:?}{:?}", view.dtype(), view.shape());
        format!("tensor `{name}`: expected f32, f64, f16 or bf16, got {got}")
    })?;
    if view.dtype() == Dtype::F64
        && let Some(at) = beyond_f32(view.data(), &data)
    {
        return Err(format!("tensor `{name}`: element {at}: expected a number that f32 can hold"));
    }
    Ok(StateTensor::new(name, view.shape(), data))
}

/// Numbers of batches, which PyTorch has as integers.
fn counts(view: &TensorView<'_>) -> Vec<f32> {
    let (whole, _) = view.data().as_chunks::<8>();
    whole.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect()
}

pub(crate) const UNCERTAIN: &str = "its dense weights are square, so that their shapes do not tell whether \
    they are in this library's layout ([in, out]) or PyTorch's ([out, in]); say which it is \
    (--layout onestep or --layout pytorch)";

/// Why tensors do not suit a model, with what is needed to mend it.
fn explained(error: LayerError, layout: WeightLayout, mut names: Vec<String>) -> String {
    match error {
        LayerError::MissingTensor { name } => {
            names.sort();
            let more = if names.len() > LISTED { ", …" } else { "" };
            names.truncate(LISTED);
            let got = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            format!("it has no tensor `{name}`, which the model needs; it has {got}{more}")
        }
        LayerError::TensorShape { .. } => format!("{error} (read in the layout of {layout})"),
        other => other.to_string(),
    }
}

/// The first finite f64 that is infinite as f32.
pub fn beyond_f32(f64_bytes: &[u8], narrowed: &[f32]) -> Option<usize> {
    let numbers = f64_bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes));
    numbers.zip(narrowed).position(|(wide, narrow)| wide.is_finite() && !narrow.is_finite())
}

/// The elements of a tensor of floating-point numbers.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn read<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| number(chunk)).collect()
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => read(bytes, f32::from_le_bytes),
        Dtype::F64 => read(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        Dtype::F16 => read(bytes, |chunk| f16::from_le_bytes(chunk).to_f32()),
        Dtype::BF16 => read(bytes, |chunk| bf16::from_le_bytes(chunk).to_f32()),
        _ => return None,
    })
}

/// Writes all parameters and states of `model`, which are in the layout used here, to a safetensors
/// file in `layout`.
///
/// # Errors
/// [`TrainerError::File`] where the file cannot be written, [`TrainerError::Weights`] where the
/// tensors are not the model's.
pub fn write(
    path: &Path,
    model: &Model,
    tensors: Vec<StateTensor>,
    layout: WeightLayout,
) -> Result<(), TrainerError> {
    let tensors = match layout {
        WeightLayout::Onestep => tensors,
        WeightLayout::Pytorch => state_dict::to_pytorch(model, tensors)
            .map_err(|error| TrainerError::weights(path, error))?,
    };
    let unwritable = |error| TrainerError::weights(path, error);
    // Safetensors are little-endian everywhere.
    let bytes = |tensor: &StateTensor| tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
    let data: Vec<Vec<u8>> = tensors.iter().map(bytes).collect();
    let views = tensors.iter().zip(&data).map(|(tensor, data)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), data)?;
        Ok((tensor.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(unwritable)?;
    let bytes = safetensors::serialize(views, Some(mark(layout))).map_err(unwritable)?;
    write_atomically(path, |file| file.write_all(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peft_are_those_of_the_model() {
        for (theirs, own) in [
            ("base_model.model.fc.lora_A.weight", "fc.lora_a"),
            ("base_model.model.block.fc.lora_B.default.weight", "block.fc.lora_b"),
            ("base_model.model.fc.base_layer.bias", "fc.bias"),
            ("base_model.model.head.modules_to_save.default.weight", "head.weight"),
            ("base_model.model.conv.weight", "conv.weight"),
        ] {
            assert_eq!(own_name(theirs).as_deref(), Some(own));
        }
        assert_eq!(own_name("fc.lora_A.weight"), None);
    }
}
