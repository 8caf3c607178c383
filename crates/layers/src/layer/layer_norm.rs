//! Normalisation of each sample.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::norm::{check_eps, eps, last_axes, moments, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = (x - mean) / sqrt(var + eps) * weight + bias` with mean and (biased) variance over the last
/// axes of each sample (Ba et al., "Layer Normalization", 2016).
///
/// Parameters with `affine`: `weight [...normalized_shape]` (ones), and with `bias` `bias` likewise (zeros).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The last axes of a sample, by their sizes; default the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized_shape: Option<Vec<usize>>,
    /// Added to the variance; default 1e-5.
    #[serde(default = "eps")]
    pub eps: f32,
    /// Whether a learned scale and shift follow; default true.
    #[serde(default = "yes")]
    pub affine: bool,
    /// Whether the shift is one of them; default true.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// How the scale begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
    /// How the shift begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias_init: Initializer,
}

fn is_yes(yes: &bool) -> bool {
    *yes
}

impl Default for LayerNorm {
    fn default() -> Self {
        LayerNorm {
            name: None,
            normalized_shape: None,
            eps: eps(),
            affine: true,
            bias: true,
            weight_init: Initializer::Default,
            bias_init: Initializer::Default,
        }
    }
}

impl LayerNorm {
    /// Over the last axis, with PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Over the last axes, which have the given sizes.
    pub fn over(normalized_shape: impl Into<Vec<usize>>) -> Self {
        LayerNorm { normalized_shape: Some(normalized_shape.into()), ..Self::default() }
    }
}

impl Layer for LayerNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        check_eps(cx, self.eps)?;
        let (shape, axes) = last_axes(cx, x, self.normalized_shape.as_deref())?;
        let g = &mut cx.graph;
        let sample = moments(g, x, &axes)?;
        let scale = scale_of(g, sample.var, self.eps)?;
        let y = g.mul(sample.centered, scale)?;
        if !self.affine {
            return Ok(y);
        }
        let weight =
            cx.parameter("weight", &shape, self.weight_init.or(Initializer::Ones), Fan::NONE)?;
        if !self.bias {
            return Ok(cx.graph.mul(y, weight)?);
        }
        let bias =
            cx.parameter("bias", &shape, self.bias_init.or(Initializer::Zeros), Fan::NONE)?;
        let scaled = cx.graph.mul(y, weight)?;
        Ok(cx.graph.add(scaled, bias)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5 + u64::from(self.affine) * (1 + u64::from(self.bias)))
    }
}
