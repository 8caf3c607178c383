//! Normalisation of each sample by its root mean square.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dense::{is_default, yes};
use super::norm::{check_eps, last_axes, scale_of};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = x / sqrt(mean(x^2) + eps) * weight` with the mean over the last axes of each sample (Zhang and
/// Sennrich, "Root Mean Square Layer Normalization", 2019).
///
/// Parameter with `affine`: `weight [...normalized_shape]` (ones).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RmsNorm {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The last axes of a sample, by their sizes; default the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized_shape: Option<Vec<usize>>,
    /// Added to the mean square; default the distance from 1 to the next f32, 1.19e-7, as in PyTorch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f32>,
    /// Whether a learned scale follows; default true.
    #[serde(default = "yes")]
    pub affine: bool,
    /// How the scale begins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_init: Initializer,
}

impl Default for RmsNorm {
    fn default() -> Self {
        RmsNorm {
            name: None,
            normalized_shape: None,
            eps: None,
            affine: true,
            weight_init: Initializer::Default,
        }
    }
}

impl RmsNorm {
    /// Over the last axis, with PyTorch's defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Over the last axes, which have the given sizes.
    pub fn over(normalized_shape: impl Into<Vec<usize>>) -> Self {
        RmsNorm { normalized_shape: Some(normalized_shape.into()), ..Self::default() }
    }
}

impl Layer for RmsNorm {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let eps = self.eps.unwrap_or(f32::EPSILON);
        check_eps(cx, eps)?;
        let (shape, axes) = last_axes(cx, x, self.normalized_shape.as_deref())?;
        let g = &mut cx.graph;
        let square = g.square(x)?;
        let mean = g.mean(square, &axes, true)?;
        let scale = scale_of(g, mean, eps)?;
        let y = g.mul(x, scale)?;
        if !self.affine {
            return Ok(y);
        }
        let init = self.weight_init.or(Initializer::Ones);
        let weight = cx.parameter("weight", &shape, init, Fan::NONE)?;
        Ok(cx.graph.mul(y, weight)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(3 + u64::from(self.affine))
    }
}
