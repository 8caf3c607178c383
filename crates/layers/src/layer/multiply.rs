//! The product of what several layers give.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes, elementwise};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x_0 x_1 …`, element by element, over the layer's inputs: a gate where one of them is between
/// 0 and 1 (Hu et al., "Squeeze-and-Excitation Networks", 2018). Shapes broadcast as NumPy's, so that
/// `[c, 1, 1]` scales the channels of `[c, h, w]`; i32 and u8 inputs, such as masks, count as numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Multiply {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for Multiply {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        elementwise::as_numbers(cx, x)
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let factors = elementwise::operands(cx, inputs)?;
        elementwise::fold(cx, &factors, |g, product, x| g.mul(product, x)).map(|y| vec![y])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(shapes.taken.saturating_sub(1) as u64)
    }
}
