//! A border around each sample.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::take::take;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// What a border is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// One value.
    #[default]
    Constant,
    /// What lies inside, mirrored at the edge, which is not repeated.
    Reflect,
    /// The edge, repeated.
    Replicate,
    /// What lies at the other side.
    Circular,
}

/// A border around the last axes of each sample: `ConstantPad`, `ZeroPad`, `ReflectionPad`,
/// `ReplicationPad` and `CircularPad` of PyTorch, in any number of dimensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `[before, after]` of each of the last axes, in their order (PyTorch lists the last axis first).
    pub padding: Vec<[usize; 2]>,
    /// What the border is made of: `constant` (default), `reflect`, `replicate` or `circular`.
    #[serde(default)]
    pub mode: PadMode,
    /// The value of a constant border; default 0.
    #[serde(default)]
    pub value: f32,
}

impl Pad {
    /// A border of zeros, `[before, after]` of each of the last axes.
    pub fn new(padding: impl Into<Vec<[usize; 2]>>) -> Self {
        Pad { name: None, padding: padding.into(), mode: PadMode::Constant, value: 0.0 }
    }

    /// The first axis with a border.
    fn check(&self, cx: &BuildContext, x: Value) -> Result<usize, LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        let given = format!("{:?}", self.padding);
        if self.padding.is_empty() || self.padding.len() >= dims.len() {
            let wanted =
                format!("from 1 to {} pairs, one for each of the last axes", dims.len() - 1);
            return Err(cx.option_error("padding", wanted, given));
        }
        if self.padding.iter().flatten().any(|&size| size > Pair::MAX) {
            return Err(cx.option_error("padding", format!("at most {}", Pair::MAX), given));
        }
        if !self.value.is_finite() {
            return Err(cx.option_error("value", "finite", self.value));
        }
        let first = dims.len() - self.padding.len();
        for (&size, &[before, after]) in dims[first..].iter().zip(&self.padding) {
            let most = match self.mode {
                PadMode::Reflect => size - 1,
                PadMode::Circular => size,
                PadMode::Constant | PadMode::Replicate => Pair::MAX,
            };
            if before.max(after) > most {
                let wanted = format!("at most {most} at an axis of {size} in this mode");
                return Err(cx.option_error("padding", wanted, given));
            }
        }
        Ok(first)
    }
}

/// Which elements of an axis of `size` stand in the padded one.
fn places(mode: PadMode, size: usize, [before, after]: [usize; 2]) -> Vec<usize> {
    let at = |i: usize| {
        let inside = (before..before + size).contains(&i);
        match mode {
            _ if inside => i - before,
            PadMode::Circular => (i + size - before % size) % size,
            PadMode::Reflect if i < before => before - i,
            PadMode::Reflect => 2 * (size - 1) + before - i,
            _ if i < before => 0,
            _ => size - 1,
        }
    };
    (0..before + size + after).map(at).collect()
}

impl Layer for Pad {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let first = self.check(cx, x)?;
        let dims = cx.dims(x);
        let g = &mut cx.graph;
        if self.mode == PadMode::Constant {
            let side = |which: usize| {
                let sizes = self.padding.iter().map(|pair| pair[which]);
                std::iter::repeat_n(0, first).chain(sizes).collect::<Vec<_>>()
            };
            return Ok(g.pad(x, &side(0), &side(1), self.value)?);
        }
        let mut y = x;
        for (axis, &pair) in (first..).zip(&self.padding) {
            if pair != [0, 0] {
                y = take(g, y, axis, &places(self.mode, dims[axis], pair))?;
            }
        }
        Ok(y)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
