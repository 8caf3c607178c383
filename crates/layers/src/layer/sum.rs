//! The sum of what several layers give.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes, elementwise};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = c_0 x_0 + c_1 x_1 + …` over the layer's inputs. Shapes broadcast as NumPy's; i32 and u8
/// inputs count as numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A factor for each input; default 1 each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coefficients: Vec<f32>,
}

impl Sum {
    /// With a factor for each input.
    pub fn weighted(coefficients: impl Into<Vec<f32>>) -> Self {
        Sum { name: None, coefficients: coefficients.into() }
    }
}

impl Layer for Sum {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let factors = &self.coefficients;
        let x = elementwise::as_numbers(cx, x)?;
        match factors[..] {
            [] => Ok(x),
            [factor] => Ok(cx.graph.scale(x, factor)?),
            _ => Err(cx.option_error("coefficients", "one number an input (1)", factors.len())),
        }
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let factors = &self.coefficients;
        if !factors.is_empty() && factors.len() != inputs.len() {
            let wanted = format!("one number an input ({})", inputs.len());
            return Err(cx.option_error("coefficients", wanted, factors.len()));
        }
        let mut terms = elementwise::operands(cx, inputs)?;
        for (term, &factor) in terms.iter_mut().zip(factors) {
            if factor != 1.0 {
                *term = cx.graph.scale(*term, factor)?;
            }
        }
        elementwise::fold(cx, &terms, |g, sum, term| g.add(sum, term)).map(|sum| vec![sum])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(shapes.taken.saturating_sub(1) as u64)
    }
}
