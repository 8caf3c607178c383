//! What stands between the numbers that a layer learns and the weight that it computes with.

use onestep_base::registry;
use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise;
use crate::context::BuildContext;
use crate::derived::Aspect;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

registry! {
    kind = "parametrization", plural = "parametrizations", form = name_or_options;
    /// How a layer's weight is made of what is learned, with the names of PyTorch's
    /// `torch.nn.utils.parametrizations`. In JSON the name (`"weight_norm"`, all options at their defaults)
    /// or `{"drop_connect": {"p": 0.2}}`.
    ///
    /// ```
    /// use onestep_layers::{Dense, ModelBuilder, WeightNorm};
    /// let dense = Dense { parametrization: Some(WeightNorm::default().into()), ..Dense::new(3) };
    /// let model = ModelBuilder::new([4]).layer(dense.named("fc")).build()?;
    /// let names: Vec<&str> = model.parameters().iter().map(|p| p.info.name.as_str()).collect();
    /// assert_eq!(names[0], "fc.parametrizations.weight.original0");
    /// assert_eq!(names[1], "fc.parametrizations.weight.original1");
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    #[derive(Copy)]
    pub enum Parametrization {
        /// A direction and a length, learned apart.
        WeightNorm(WeightNorm) = "weight_norm",
        /// Random zeros among the weights in training.
        DropConnect(DropConnect) = "drop_connect",
    }
}

/// `w = g v / ||v||`, with a norm for each slice along an axis (Salimans and Kingma, "Weight Normalization",
/// 2016).
///
/// Parameters: `parametrizations.weight.original0`, which is g, of the weight's shape with 1 for all axes but
/// `dim`, and `parametrizations.weight.original1`, which is v. g begins as the norm of v, so that the weight
/// begins as it would without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightNorm {
    /// The axis that keeps its norms, as PyTorch counts the axes of the weight; default 0, and `null` for a
    /// norm of the whole.
    pub dim: Option<usize>,
}

impl Default for WeightNorm {
    fn default() -> Self {
        WeightNorm { dim: Some(0) }
    }
}

/// In training `w = W m / (1 - p)` with `m` 0 with probability `p` and else 1, drawn anew for each element
/// and step; `W` otherwise (Wan et al., "Regularization of Neural Networks using DropConnect", 2013, scaled
/// as `dropout` is).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DropConnect {
    /// The probability of a zero, in `[0, 1]`; default 0.5.
    pub p: f32,
}

impl Default for DropConnect {
    fn default() -> Self {
        DropConnect { p: 0.5 }
    }
}

impl From<WeightNorm> for Parametrization {
    fn from(options: WeightNorm) -> Self {
        Parametrization::WeightNorm(options)
    }
}

impl From<DropConnect> for Parametrization {
    fn from(options: DropConnect) -> Self {
        Parametrization::DropConnect(options)
    }
}

const WEIGHT: &str = "weight";
const LENGTH: &str = "parametrizations.weight.original0";
const DIRECTION: &str = "parametrizations.weight.original1";

/// A layer's weight: how it is stored, and how it begins.
pub(super) struct Weight {
    dims: Vec<usize>,
    init: Initializer,
    fan: Fan,
    /// Whether the axes are PyTorch's the other way round.
    transposed: bool,
}

impl Weight {
    /// `[in, out]`.
    pub(super) fn dense(dims: [usize; 2], init: Initializer) -> Self {
        let fan = Fan::dense(dims[0], dims[1]);
        Weight { dims: dims.to_vec(), init, fan, transposed: true }
    }

    /// `[out, in / groups, kernel sizes...]`, or of a transposed convolution the other way round.
    pub(super) fn conv(dims: &[usize], init: Initializer, fan: Fan) -> Self {
        Weight { dims: dims.to_vec(), init, fan, transposed: false }
    }

    /// What the layer computes with.
    pub(super) fn build(
        &self,
        cx: &mut BuildContext,
        by: Option<Parametrization>,
    ) -> Result<Value, LayerError> {
        match by {
            None => self.stored(cx, WEIGHT, &self.dims),
            Some(Parametrization::DropConnect(DropConnect { p })) => {
                let weight = self.stored(cx, WEIGHT, &self.dims)?;
                noise::drop(cx, weight, p, &self.dims)
            }
            Some(Parametrization::WeightNorm(norm)) => {
                let axis = norm.dim.map(|dim| self.axis(cx, dim)).transpose()?;
                self.of_length(cx, axis)
            }
        }
    }

    /// A parameter with the axes of the weight, or a single number.
    fn stored(
        &self,
        cx: &mut BuildContext,
        name: &str,
        dims: &[usize],
    ) -> Result<Value, LayerError> {
        match *dims {
            [inner, outer] if self.transposed => cx.dense_weight(name, [inner, outer], self.init),
            _ => cx.parameter(name, dims, self.init, self.fan),
        }
    }

    /// The axis here that PyTorch calls `dim`.
    fn axis(&self, cx: &BuildContext, dim: usize) -> Result<usize, LayerError> {
        let rank = self.dims.len();
        if dim >= rank {
            let wanted = format!("an axis of the weight, below {rank}");
            return Err(cx.option_error("parametrization: dim", wanted, dim));
        }
        Ok(if self.transposed { rank - 1 - dim } else { dim })
    }

    fn of_length(&self, cx: &mut BuildContext, axis: Option<usize>) -> Result<Value, LayerError> {
        let rank = self.dims.len();
        let kept = |&other: &usize| if Some(other) == axis { self.dims[other] } else { 1 };
        let sizes: Vec<usize> = match axis {
            Some(_) => (0..rank).collect::<Vec<_>>().iter().map(kept).collect(),
            None => Vec::new(),
        };
        let length = self.stored(cx, LENGTH, &sizes)?;
        let direction = self.stored(cx, DIRECTION, &self.dims)?;
        cx.begins_as(LENGTH, DIRECTION, Aspect::Norms { axis });
        let others: Vec<usize> = (0..rank).filter(|&other| Some(other) != axis).collect();
        let g = &mut cx.graph;
        let squares = g.square(direction)?;
        let squares = g.sum(squares, &others, axis.is_some())?;
        let norm = g.sqrt(squares)?;
        let scale = g.div(length, norm)?;
        Ok(g.mul(direction, scale)?)
    }
}
