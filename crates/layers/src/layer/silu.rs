//! The sigmoid linear unit.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x / (1 + e^-x)`, elementwise; also called swish (Elfwing et al., "Sigmoid-weighted linear
/// units", 2017; Ramachandran et al., "Searching for Activation Functions", 2017).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Silu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Layer for Silu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let gate = cx.graph.sigmoid(x)?;
        Ok(cx.graph.mul(x, gate)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(5)
    }
}
