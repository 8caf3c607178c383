//! A part of each sample.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The elements from `start` up to, not including, `end` along an axis, as Python's `x[start:end]`:
/// negative bounds count from the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axis, the batch being 0; negative ones count from the end. Default 1.
    #[serde(default = "first")]
    pub dim: isize,
    /// Where it begins; default 0.
    #[serde(default)]
    pub start: isize,
    /// Where it ends, not included; default the end of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<isize>,
}

fn first() -> isize {
    1
}

impl Slice {
    /// A part along an axis.
    pub fn new(dim: isize, start: isize, end: Option<isize>) -> Self {
        Slice { name: None, dim, start, end }
    }
}

impl Layer for Slice {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let axis = cx.sample_axis(x, "dim", self.dim)?;
        let size = cx.dims(x)[axis];
        let place = |bound: isize| match bound < 0 {
            true => size.checked_sub(bound.unsigned_abs()),
            false => Some(bound.unsigned_abs()).filter(|&at| at <= size),
        };
        let wanted = format!("within the {size} elements of axis {axis}");
        let start =
            place(self.start).ok_or_else(|| cx.option_error("start", &wanted, self.start))?;
        let end = match self.end {
            None => size,
            Some(end) => place(end).ok_or_else(|| cx.option_error("end", &wanted, end))?,
        };
        if start >= end {
            let got = format!("{start} to {end}");
            return Err(cx.option_error("end", "behind start", got));
        }
        Ok(cx.graph.slice_axis(x, axis, start, end)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
