//! A leaky ReLU with a learned slope.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::activation::{where_positive, zero_where_positive};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// `y = x` for `x > 0`, else `weight * x`, with one learned slope for all values or one a channel
/// (He et al., "Delving Deep into Rectifiers", 2015).
///
/// Parameter: `weight [num_parameters]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prelu {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// 1, or the size of the first axis of a sample; default 1.
    pub num_parameters: usize,
    /// The slope at the start; default 0.25.
    pub init: f32,
}

impl Default for Prelu {
    fn default() -> Self {
        Prelu::new(1)
    }
}

impl Prelu {
    /// With 1 slope, or one for each channel.
    pub fn new(num_parameters: usize) -> Self {
        Prelu { name: None, num_parameters, init: 0.25 }
    }
}

impl Layer for Prelu {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        let channels = dims.get(1).copied().unwrap_or(1);
        if self.num_parameters != 1 && self.num_parameters != channels {
            let wanted = format!("1 or the {channels} channels of the input");
            return Err(cx.option_error("num_parameters", wanted, self.num_parameters));
        }
        let init = Initializer::constant(self.init);
        let slope = cx.parameter("weight", &[self.num_parameters], init, Fan::NONE)?;
        let g = &mut cx.graph;
        let slope = if self.num_parameters == 1 {
            slope
        } else {
            let mut shape = vec![1; dims.len()];
            shape[1] = channels;
            g.reshape(slope, &shape)?
        };
        let bounded = zero_where_positive(g, x)?;
        let leak = g.mul(bounded, slope)?;
        Ok(where_positive(g, x, leak)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(2)
    }
}
