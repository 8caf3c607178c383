//! Weights in safetensors files, in this library's layout or PyTorch's.
//!
//! The layout is what the caller says, else what the file says of itself, else what shapes and
//! names show ([`recognise`](state_dict::recognise)). Files written here say it.

use std::collections::HashMap;
use std::fs::File;
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
    let failed = |error| TrainerError::file(path, "read the weights")(error);
    let mut file = File::open(path).map_err(failed)?;
    let bytes = read_bounded(&mut file, largest_file(model)).map_err(failed)?;
    let refuse = |reason: String| TrainerError::weights(path, reason);
    let damaged = |error| refuse(format!("no whole safetensors file ({error})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let data = if name.ends_with(state_dict::BATCH_COUNT) {
            vec![0.0; view.shape().iter().product()]
        } else {
            floats(&view).ok_or_else(|| {
                let got = format!("{:?}{:?}", view.dtype(), view.shape());
                refuse(format!("tensor `{name}`: expected f32, f64, f16 or bf16, got {got}"))
            })?
        };
        if view.dtype() == Dtype::F64
            && let Some(at) = beyond_f32(view.data(), &data)
        {
            let wanted = "expected a number that f32 can hold";
            return Err(refuse(format!("tensor `{name}`: element {at}: {wanted}")));
        }
        tensors.push(StateTensor::new(&name, view.shape(), data));
    }
    let says = |(key, value): (&str, &str)| {
        header.metadata().as_ref().and_then(|known| known.get(key)).is_some_and(|v| v == value)
    };
    let known = layout.or(says(OWN_MARK).then_some(WeightLayout::Onestep));
    let layout = match known {
        Some(layout) => layout,
        None => match state_dict::recognise(model, &tensors).map_err(|e| refuse(e.to_string()))? {
            Some(layout) => layout,
            None if says(PYTORCH_MARK) => WeightLayout::Pytorch,
            None => return Err(refuse(UNCERTAIN.to_owned())),
        },
    };
    let names: Vec<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
    match state_dict::from_layout(model, tensors, layout) {
        Ok(read) => Ok((read, layout)),
        Err(error) => Err(refuse(explained(error, layout, names))),
    }
}

const UNCERTAIN: &str = "its dense weights are square, so that their shapes do not tell whether \
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
