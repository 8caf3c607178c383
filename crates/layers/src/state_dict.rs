//! Conversion to and from PyTorch's state dict.
//!
//! Names are those of a PyTorch module whose children are called as the layers are
//! (`block1.body.conv1.weight`). Layouts are the same but for the weights of dense layers, which
//! are `[in, out]` here and `[out, in]` in `torch.nn.Linear`. PyTorch's batch normalisation also
//! counts batches (`num_batches_tracked`); a model that does not need that count ignores it on the way in
//! and lacks it on the way out (load with `strict=False`).
//!
//! A square dense weight looks the same in both layouts, so whoever reads weights has to know which
//! one they are in: [`recognise`] tells where it can be told, and nobody guesses where it cannot.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::error::LayerError;
use crate::model::Model;
use crate::parts::Layout;

/// The end of the name of a count that PyTorch keeps beside running statistics.
pub const BATCH_COUNT: &str = "num_batches_tracked";

/// Whose layout a model's weights are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightLayout {
    /// This library's: dense weights are `[in, out]`.
    Onestep,
    /// PyTorch's: dense weights are `[out, in]`.
    Pytorch,
}

impl WeightLayout {
    /// All there are.
    pub const ALL: [WeightLayout; 2] = [WeightLayout::Onestep, WeightLayout::Pytorch];

    /// Its name, as settings have it.
    pub fn name(self) -> &'static str {
        match self {
            WeightLayout::Onestep => "onestep",
            WeightLayout::Pytorch => "pytorch",
        }
    }
}

impl fmt::Display for WeightLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightLayout {
    type Err = LayerError;

    fn from_str(text: &str) -> Result<Self, LayerError> {
        let found = WeightLayout::ALL.into_iter().find(|layout| layout.name() == text);
        found.ok_or_else(|| {
            let names = WeightLayout::ALL.map(WeightLayout::name).join(" or ");
            LayerError::option("weights", "layout", names, format!("`{text}`"))
        })
    }
}

/// A named tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// The name.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Vec<f32>,
}

impl StateTensor {
    /// A tensor from its parts; the count of elements is checked by the conversions.
    pub fn new(name: &str, shape: &[usize], data: Vec<f32>) -> Self {
        StateTensor { name: name.to_owned(), shape: shape.to_vec(), data }
    }

    /// The tensor with its two axes swapped; one of another rank stays as it is, and so does one
    /// whose elements are not as many as its shape says.
    #[must_use]
    pub fn transposed(self) -> Self {
        if self.shape.iter().product::<usize>() != self.data.len() {
            return self;
        }
        let &[rows, columns] = &self.shape[..] else { return self };
        let data = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| row * columns + column))
            .map(|index| self.data[index])
            .collect();
        StateTensor { name: self.name, shape: vec![columns, rows], data }
    }
}

/// What the model has under one name.
struct Wanted {
    shape: Vec<usize>,
    layout: Layout,
    /// Whether it is a parameter, without which there is no model.
    needed: bool,
}

fn wanted(model: &Model) -> Vec<(&str, Wanted)> {
    let parameters = model.parameters().iter().map(|p| {
        let shape = p.info.shape.dims().to_vec();
        (p.info.name.as_str(), Wanted { shape, layout: p.layout, needed: true })
    });
    let states = model.states().iter().map(|s| {
        let shape = s.shape.dims().to_vec();
        (s.name.as_str(), Wanted { shape, layout: Layout::Same, needed: false })
    });
    parameters.chain(states).collect()
}

/// The parameters and states of `model`, as PyTorch stores them. Tensors come in the model's order.
///
/// # Errors
/// A tensor of the model that is missing, one it does not have, or one of another shape.
pub fn to_pytorch(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
) -> Result<Vec<StateTensor>, LayerError> {
    let complete = all_of(model, convert(model, tensors, WeightLayout::Onestep)?)?;
    Ok(complete.into_iter().map(|(layout, tensor)| swapped(layout, tensor)).collect())
}

/// The parameters and states of `model` from PyTorch's state dict, in the layout used here and in
/// the model's order. A `num_batches_tracked` that the model has no use for is ignored.
///
/// ```
/// use onestep_layers::{ModelBuilder, StateTensor, state_dict};
/// let model = ModelBuilder::new([3]).dense(2, false, "fc").build()?;
/// let theirs = StateTensor::new("fc.weight", &[2, 3], vec![1., 2., 3., 4., 5., 6.]);
/// let ours = state_dict::from_pytorch(&model, [theirs])?;
/// assert_eq!(ours[0].shape, [3, 2]);
/// assert_eq!(ours[0].data, [1., 4., 2., 5., 3., 6.]);
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
///
/// # Errors
/// A tensor of the model that is missing, one it does not have, or one of another shape.
pub fn from_pytorch(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
) -> Result<Vec<StateTensor>, LayerError> {
    let complete = all_of(model, convert(model, tensors, WeightLayout::Pytorch)?)?;
    Ok(complete.into_iter().map(|(layout, tensor)| swapped(layout, tensor)).collect())
}

/// The parameters of `model`, and those of its states that are there, from either layout: in the
/// layout used here and in the model's order.
///
/// # Errors
/// A parameter that is missing, a tensor that the model does not have, or one of another shape.
pub fn from_layout(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
    layout: WeightLayout,
) -> Result<Vec<StateTensor>, LayerError> {
    let found = convert(model, tensors, layout)?;
    Ok(found
        .into_iter()
        .map(|(stored, tensor)| match layout {
            WeightLayout::Onestep => tensor,
            WeightLayout::Pytorch => swapped(stored, tensor),
        })
        .collect())
}

/// The layout that weights of `model` are in, as far as they show it: by the shapes of dense weights
/// that are not square, and by names that only PyTorch has. `None` where they could be in either.
///
/// ```
/// use onestep_layers::state_dict::{WeightLayout, recognise};
/// use onestep_layers::{ModelBuilder, StateTensor};
/// let model = ModelBuilder::new([3]).dense(2, false, "fc").build()?;
/// let theirs = StateTensor::new("fc.weight", &[2, 3], vec![0.0; 6]);
/// assert_eq!(recognise(&model, &[theirs])?, Some(WeightLayout::Pytorch));
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
///
/// # Errors
/// [`LayerError::MixedLayouts`] where some weights are in one layout and some in the other.
pub fn recognise(
    model: &Model,
    tensors: &[StateTensor],
) -> Result<Option<WeightLayout>, LayerError> {
    let given: HashMap<&str, &StateTensor> =
        tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let (mut ours, mut theirs, mut either) = (None, None, false);
    for (name, wanted) in wanted(model) {
        let Some(tensor) = given.get(name).filter(|_| wanted.layout == Layout::Transposed) else {
            continue;
        };
        let turned: Vec<usize> = wanted.shape.iter().rev().copied().collect();
        match (tensor.shape == wanted.shape, tensor.shape == turned) {
            // One of the wrong length is refused by the conversion.
            (true, true) if check_shape(tensor, &wanted.shape).is_err() => {}
            (true, true) => either |= (*tensor).clone().transposed().data != tensor.data,
            (true, false) => ours = Some(name),
            (false, true) => theirs = Some(name),
            // Of no layout; the conversion says so.
            (false, false) => {}
        }
    }
    Ok(match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
            return Err(LayerError::MixedLayouts { ours, theirs });
        }
        (Some(_), None) => Some(WeightLayout::Onestep),
        (None, Some(_)) => Some(WeightLayout::Pytorch),
        (None, None) if tensors.iter().any(|t| is_foreign_count(model, &t.name)) => {
            Some(WeightLayout::Pytorch)
        }
        (None, None) if either => None,
        // Nothing that would differ.
        (None, None) => Some(WeightLayout::Onestep),
    })
}

/// Whether a tensor counts batches, as PyTorch always does and `model` does not.
pub fn is_foreign_count(model: &Model, name: &str) -> bool {
    name.ends_with(BATCH_COUNT) && !model.states().iter().any(|state| state.name == name)
}

fn swapped(layout: Layout, tensor: StateTensor) -> StateTensor {
    match layout {
        Layout::Same => tensor,
        Layout::Transposed => tensor.transposed(),
    }
}

/// Refuses what lacks a tensor of the model.
fn all_of(
    model: &Model,
    found: Vec<(Layout, StateTensor)>,
) -> Result<Vec<(Layout, StateTensor)>, LayerError> {
    let absent = |name: &&str| !found.iter().any(|(_, tensor)| tensor.name == *name);
    match wanted(model).iter().map(|(name, _)| *name).find(absent) {
        Some(name) => Err(LayerError::MissingTensor { name: name.to_owned() }),
        None => Ok(found),
    }
}

/// The tensors of the model that are there, in its order and as they are, with how PyTorch stores
/// each.
fn convert(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
    from: WeightLayout,
) -> Result<Vec<(Layout, StateTensor)>, LayerError> {
    let mut given: HashMap<String, StateTensor> =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut result = Vec::new();
    for (name, mut wanted) in wanted(model) {
        let Some(tensor) = given.remove(name) else {
            if wanted.needed {
                return Err(LayerError::MissingTensor { name: name.to_owned() });
            }
            continue;
        };
        if from == WeightLayout::Pytorch && wanted.layout == Layout::Transposed {
            wanted.shape.reverse();
        }
        check_shape(&tensor, &wanted.shape)?;
        result.push((wanted.layout, tensor));
    }
    let counts = |name: &String| from == WeightLayout::Pytorch && name.ends_with(BATCH_COUNT);
    match given.into_keys().filter(|name| !counts(name)).min() {
        Some(name) => Err(LayerError::UnexpectedTensor { name }),
        None => Ok(result),
    }
}

fn check_shape(tensor: &StateTensor, shape: &[usize]) -> Result<(), LayerError> {
    let elements = shape.iter().product::<usize>();
    let got = if tensor.shape != shape {
        format!("{:?}", tensor.shape)
    } else if tensor.data.len() != elements {
        format!("{} elements", tensor.data.len())
    } else {
        return Ok(());
    };
    let wanted = format!("{shape:?}");
    Err(LayerError::TensorShape { name: tensor.name.clone(), wanted, got })
}
