//! Whole samples of zeros in training.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::noise::{axes_as_one, drop};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// What is dropped together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropMode {
    /// Each sample by itself.
    #[default]
    Row,
    /// The whole batch.
    Batch,
}

/// In training `y = x m / (1 - p)` with `m` 0 with probability `p` and else 1, drawn anew for each sample,
/// or once for the batch, at each step; the identity otherwise. At the end of a residual's body it
/// skips the body (Huang et al., "Deep Networks with Stochastic Depth", 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StochasticDepth {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability of zeros, in `[0, 1]`.
    pub p: f32,
    /// What is dropped together: `row` (each sample by itself, default) or `batch`.
    #[serde(default)]
    pub mode: DropMode,
}

impl StochasticDepth {
    /// Each sample by itself with probability `p`.
    pub fn new(p: f32) -> Self {
        StochasticDepth { name: None, p, mode: DropMode::Row }
    }
}

impl Layer for StochasticDepth {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let first = match self.mode {
            DropMode::Row => 1,
            DropMode::Batch => 0,
        };
        let mask = axes_as_one(cx, x, first);
        drop(cx, x, self.p, &mask)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
