//! One element along an axis.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The element `index` along an axis, which is dropped: `x[:, index]`. A negative index counts from
/// the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which element; negative ones count from the end.
    pub index: isize,
    /// The axis, the batch being 0; negative ones count from the end. Default 1.
    #[serde(default = "first")]
    pub dim: isize,
}

fn first() -> isize {
    1
}

impl Select {
    /// One element along an axis.
    pub fn new(dim: isize, index: isize) -> Self {
        Select { name: None, index, dim }
    }
}

impl Layer for Select {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let axis = cx.sample_axis(x, "dim", self.dim)?;
        let mut dims = cx.dims(x);
        let size = dims.remove(axis);
        let at = if self.index < 0 { self.index + size as isize } else { self.index };
        let Some(at) = usize::try_from(at).ok().filter(|&at| at < size) else {
            let wanted = format!("one of the {size} elements of axis {axis}");
            return Err(cx.option_error("index", wanted, self.index));
        };
        let part = cx.graph.slice_axis(x, axis, at, at + 1)?;
        Ok(cx.graph.reshape(part, &dims)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
