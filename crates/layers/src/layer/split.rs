//! Each sample in several parts.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The parts of the input along an axis, one output each: a later layer takes them by number,
/// `"inputs": ["NAME.0"]`, `"NAME.1"` and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The sizes of the parts along the axis; together they are the axis.
    pub sizes: Vec<usize>,
    /// The axis, the batch being 0; negative ones count from the end. Default 1.
    #[serde(default = "first")]
    pub dim: isize,
}

fn first() -> isize {
    1
}

impl Split {
    /// Parts of these sizes along the first axis of a sample.
    pub fn new(sizes: impl Into<Vec<usize>>) -> Self {
        Split { name: None, sizes: sizes.into(), dim: first() }
    }
}

impl Layer for Split {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let parts = self.build_many(cx, &[x])?;
        match parts[..] {
            [part] => Ok(part),
            _ => Err(cx.option_error("sizes", "one size where one value is wanted", parts.len())),
        }
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let x = cx.one(inputs)?;
        let axis = cx.sample_axis(x, "dim", self.dim)?;
        let size = cx.dims(x)[axis];
        let total = self.sizes.iter().fold(0, |sum: usize, &part| sum.saturating_add(part));
        if total != size || self.sizes.contains(&0) {
            let wanted = format!("sizes of at least 1 that add up to {size}");
            return Err(cx.option_error("sizes", wanted, format!("{:?}", self.sizes)));
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(self.sizes.len());
        for &part in &self.sizes {
            parts.push(cx.graph.slice_axis(x, axis, start, start + part)?);
            start += part;
        }
        Ok(parts)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
