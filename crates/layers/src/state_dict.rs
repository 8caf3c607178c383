//! Conversion to and from PyTorch's state dict.
//!
//! Names are those of a PyTorch module whose children are called as the layers are
//! (`block1.body.conv1.weight`). Layouts are the same but for the weights of dense layers, which
//! are `[in, out]` here and `[out, in]` in `torch.nn.Linear`. PyTorch's batch normalisation also
//! counts batches (`num_batches_tracked`); that count is ignored on the way in and absent on the
//! way out (load with `strict=False`).

use std::collections::HashMap;

use crate::error::LayerError;
use crate::model::{Layout, Model};

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

    fn transposed(self) -> Self {
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
}

fn wanted(model: &Model) -> Vec<(&str, Wanted)> {
    let parameters = model.parameters().iter().map(|p| {
        let wanted = Wanted { shape: p.info.shape.dims().to_vec(), layout: p.layout };
        (p.info.name.as_str(), wanted)
    });
    let states = model.states().iter().map(|s| {
        (s.name.as_str(), Wanted { shape: s.shape.dims().to_vec(), layout: Layout::Same })
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
    convert(model, tensors, |wanted| wanted.shape.clone())
}

/// The parameters and states of `model` from PyTorch's state dict, in the layout used here and in
/// the model's order. `num_batches_tracked` is ignored.
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
    let known = tensors.into_iter().filter(|t| !t.name.ends_with("num_batches_tracked"));
    convert(model, known, |wanted| match wanted.layout {
        Layout::Same => wanted.shape.clone(),
        Layout::Transposed => wanted.shape.iter().rev().copied().collect(),
    })
}

fn convert(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
    source_shape: impl Fn(&Wanted) -> Vec<usize>,
) -> Result<Vec<StateTensor>, LayerError> {
    let mut given: HashMap<String, StateTensor> =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut result = Vec::new();
    for (name, wanted) in wanted(model) {
        let Some(tensor) = given.remove(name) else {
            return Err(LayerError::MissingTensor { name: name.to_owned() });
        };
        let shape = source_shape(&wanted);
        check_shape(&tensor, &shape)?;
        result.push(match wanted.layout {
            Layout::Same => tensor,
            Layout::Transposed => tensor.transposed(),
        });
    }
    match given.into_keys().min() {
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
