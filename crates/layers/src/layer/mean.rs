//! Means over axes.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The mean of each sample over some of its axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mean {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axes, the batch being 0 and not among them; negative ones count from the end.
    pub dims: Vec<isize>,
    /// Whether the axes stay with size 1; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keepdim: bool,
}

impl Mean {
    /// Over the given axes, which are dropped.
    pub fn new(dims: impl Into<Vec<isize>>) -> Self {
        Mean { name: None, dims: dims.into(), keepdim: false }
    }
}

impl Layer for Mean {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let axes = self.dims.iter().map(|&dim| cx.sample_axis(x, "dims", dim));
        let mut axes = axes.collect::<Result<Vec<usize>, _>>()?;
        axes.sort_unstable();
        if axes.is_empty() || axes.windows(2).any(|pair| pair[0] == pair[1]) {
            let got = format!("{:?}", self.dims);
            return Err(cx.option_error("dims", "one or more different axes", got));
        }
        Ok(cx.graph.mean(x, &axes, self.keepdim)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs()
    }
}
