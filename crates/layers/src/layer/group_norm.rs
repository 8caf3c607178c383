//! Normalisation of groups of channels.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::norm::{Affine, check_eps, eps, moments, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::Initializer;

/// `y = (x - mean) / sqrt(var + eps) * weight + bias` with mean and (biased) variance over each group of
/// neighbouring channels of each sample (Wu and He, "Group Normalization", 2018), of samples `[c, ...]`.
///
/// Parameters with `affine`: `weight [c]` (ones), `bias [c]` (zeros).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number of groups, a divisor of the channels.
    pub num_groups: usize,
    /// Added to the variance; default 1e-5.
    #[serde(default = "eps")]
    pub eps: f32,
    /// Whether a learned scale and shift follow; default true.
    #[serde(default = "yes")]
    pub affine: bool,
    /// How the scale begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the shift begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

impl GroupNorm {
    /// In so many groups, with PyTorch's defaults.
    pub fn new(num_groups: usize) -> Self {
        GroupNorm {
            name: None,
            num_groups,
            eps: eps(),
            affine: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }

    /// The dimensions of the input.
    fn check(&self, cx: &BuildContext, x: Value) -> Result<Vec<usize>, LayerError> {
        cx.expect_f32(x)?;
        check_eps(cx, self.eps)?;
        let dims = cx.dims(x);
        let Some(&channels) = dims.get(1) else {
            return Err(cx.input_error("[channels, ...] a sample", "a number"));
        };
        if self.num_groups == 0 || !channels.is_multiple_of(self.num_groups) {
            let wanted = format!("a divisor of the {channels} channels");
            return Err(cx.option_error("num_groups", wanted, self.num_groups));
        }
        if cx.training() && dims[1..].iter().product::<usize>() / self.num_groups < 2 {
            let wanted = "more than one value a group in training";
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        Ok(dims)
    }
}

impl Layer for GroupNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = self.check(cx, x)?;
        let rest = dims[1..].iter().product::<usize>() / self.num_groups;
        let g = &mut cx.graph;
        let groups = g.reshape(x, &[dims[0], self.num_groups, rest])?;
        let group = moments(g, groups, &[2])?;
        let scale = scale_of(g, group.var, self.eps)?;
        let y = g.mul(group.centered, scale)?;
        let y = g.reshape(y, &dims)?;
        if !self.affine {
            return Ok(y);
        }
        Affine { weight: self.weight_init, bias: self.bias_init }.a_channel(cx, y)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5 + 2 * u64::from(self.affine))
    }
}
