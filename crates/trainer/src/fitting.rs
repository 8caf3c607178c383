//! Weights of another model: what fits by name and shape is taken.

use std::fmt;
use std::path::Path;

use onestep_layers::{Layout, Model, StateTensor, WeightLayout, state_dict};

use crate::TrainerError;
use crate::checkpoint::{WEIGHTS, locate};
use crate::weights::{self, File};

/// What became of the tensors of a file that a model was given to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The layout that the file is in.
    pub layout: WeightLayout,
    /// The model's tensors that begin as they are in the file.
    pub taken: Vec<String>,
    /// Those of the file that the model has no use for, with the reason.
    pub left: Vec<(String, String)>,
    /// The model's tensors that begin as they would without the file.
    pub new: Vec<String>,
}

impl Taken {
    /// Whether the file has all of the model and nothing else.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty() && self.new.is_empty()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "taken: {} tensors (layout of {})", self.taken.len(), self.layout)?;
        if !self.left.is_empty() {
            let left = self.left.iter().map(|(name, why)| format!("{name} ({why})"));
            write!(f, "; left: {}", left.collect::<Vec<_>>().join(", "))?;
        }
        if !self.new.is_empty() {
            write!(f, "; new: {}", self.new.join(", "))?;
        }
        Ok(())
    }
}

/// The tensors of a file, or of the run or checkpoint in a folder, that a model has by the same name
/// and shape, in the layout used here.
///
/// # Errors
/// [`TrainerError::File`] and [`TrainerError::Weights`]: no file of tensors, nothing in it that
/// fits, or a layout that cannot be told.
pub(crate) fn read(
    path: &Path,
    model: &Model,
    layout: Option<WeightLayout>,
) -> Result<(Vec<StateTensor>, Taken), TrainerError> {
    let path = match path.is_dir() {
        true => &locate(path, &["last", "best"]).join(WEIGHTS),
        false => path,
    };
    let failed = |error| TrainerError::file(path, "read the weights")(error);
    // The file of another model may be of any size, but not without an end.
    let size = std::fs::metadata(path).map_err(failed)?.len();
    let File { tensors, says } = weights::open(path, size)?;
    let wanted = wanted(model);
    let layout = match layout.or(says) {
        Some(layout) => layout,
        None => recognise(model, &tensors, &wanted)
            .ok_or_else(|| TrainerError::weights(path, weights::UNCERTAIN))?,
    };
    let mut found = Taken { layout, taken: Vec::new(), left: Vec::new(), new: Vec::new() };
    let mut fitting = Vec::new();
    for (name, tensor) in tensors {
        if state_dict::is_foreign_count(model, &name) {
            continue;
        }
        let Some(own) = wanted.iter().find(|own| own.name == name) else {
            found.left.push((name, "the model has none of the name".to_owned()));
            continue;
        };
        let tensor = tensor.map_err(|reason| TrainerError::weights(path, reason))?;
        let turned = layout == WeightLayout::Pytorch && own.layout == Layout::Transposed;
        let tensor = if turned { tensor.transposed() } else { tensor };
        if tensor.shape != own.shape {
            let why = format!("{:?}, the model's is {:?}", tensor.shape, own.shape);
            found.left.push((name, why));
            continue;
        }
        found.taken.push(name);
        fitting.push(tensor);
    }
    found.left.sort();
    let new = wanted.iter().filter(|own| !found.taken.iter().any(|name| name == own.name));
    found.new = new.map(|own| own.name.to_owned()).collect();
    if fitting.is_empty() {
        let reason = format!("nothing in it fits the model: {found}");
        return Err(TrainerError::weights(path, reason));
    }
    Ok((fitting, found))
}

/// A tensor of a model.
struct Own<'a> {
    name: &'a str,
    shape: &'a [usize],
    layout: Layout,
}

fn wanted(model: &Model) -> Vec<Own<'_>> {
    let parameters = model.parameters().iter().map(|parameter| Own {
        name: &parameter.info.name,
        shape: parameter.info.shape.dims(),
        layout: parameter.layout,
    });
    let states = model.states().iter().map(|state| Own {
        name: &state.name,
        shape: state.shape.dims(),
        layout: Layout::Same,
    });
    parameters.chain(states).collect()
}

/// The layout that shapes and names show; `None` where dense weights could be in either.
fn recognise(
    model: &Model,
    tensors: &weights::Tensors,
    wanted: &[Own<'_>],
) -> Option<WeightLayout> {
    if tensors.iter().any(|(name, _)| state_dict::is_foreign_count(model, name)) {
        return Some(WeightLayout::Pytorch);
    }
    let mut uncertain = false;
    for own in wanted.iter().filter(|own| own.layout == Layout::Transposed) {
        let found = tensors.iter().find(|(name, _)| name == own.name);
        let Some((_, Ok(tensor))) = found else { continue };
        let swapped: Vec<usize> = own.shape.iter().rev().copied().collect();
        match (tensor.shape == own.shape, tensor.shape == swapped) {
            (true, false) => return Some(WeightLayout::Onestep),
            (false, true) => return Some(WeightLayout::Pytorch),
            (true, true) => uncertain = true,
            // Of another size in any layout: left.
            (false, false) => {}
        }
    }
    (!uncertain).then_some(WeightLayout::Onestep)
}
