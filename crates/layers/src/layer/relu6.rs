//! The rectified linear unit with a ceiling.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = min(max(x, 0), 6)` (Howard et al., "MobileNets", 2017). At 0 and at 6 the gradient is 0, as
/// in PyTorch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relu6 {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for Relu6 {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        // A choice and not the smaller of two, which would share the gradient at 6; asked this way
        // round, NaN stays NaN.
        let g = &mut cx.graph;
        let low = g.relu(x)?;
        let six = g.constant(6.0)?;
        let above = g.ge(low, six)?;
        Ok(g.select(above, six, low)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
