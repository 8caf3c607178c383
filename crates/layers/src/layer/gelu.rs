//! The Gaussian error linear unit.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// Which formula is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeluForm {
    /// `x/2 (1 + erf(x / sqrt 2))`
    #[default]
    None,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`
    Tanh,
}

/// `y = x P(X <= x)` for a standard normal `X`, elementwise (Hendrycks and Gimpel, "Gaussian Error
/// Linear Units", 2016), exactly or by the paper's approximation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gelu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The approximation: `none` (default) or `tanh`.
    pub approximate: GeluForm,
}

impl Gelu {
    /// In the given form.
    pub fn new(approximate: GeluForm) -> Self {
        Gelu { name: None, approximate }
    }
}

impl Layer for Gelu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let g = &mut cx.graph;
        let between = match self.approximate {
            GeluForm::None => {
                let scaled = g.scale(x, FRAC_1_SQRT_2)?;
                g.erf(scaled)?
            }
            GeluForm::Tanh => {
                let square = g.square(x)?;
                let slope = g.scale(square, 0.044715)?;
                let slope = g.offset(slope, 1.0)?;
                let inner = g.mul(x, slope)?;
                let inner = g.scale(inner, FRAC_1_SQRT_2 * FRAC_2_SQRT_PI)?;
                g.tanh(inner)?
            }
        };
        let probability = g.offset(between, 1.0)?;
        let half = g.scale(x, 0.5)?;
        Ok(g.mul(half, probability)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(8)
    }
}
