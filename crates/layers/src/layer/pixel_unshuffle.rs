//! Pixels become channels.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `[c, h r, w r] -> [c r^2, h, w]`: the inverse of [`PixelShuffle`](super::PixelShuffle).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PixelUnshuffle {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The side `r` of the squares that become channels.
    pub downscale_factor: usize,
}

impl PixelUnshuffle {
    /// With squares of that side.
    pub fn new(downscale_factor: usize) -> Self {
        PixelUnshuffle { name: None, downscale_factor }
    }
}

impl Layer for PixelUnshuffle {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let r = self.downscale_factor;
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        let dims = cx.dims(x);
        let (b, c, h, w) = (dims[0], dims[1], dims[2], dims[3]);
        if r == 0 || !h.is_multiple_of(r) || !w.is_multiple_of(r) {
            let wanted = format!("a divisor of both sides of the {h} x {w} picture");
            return Err(cx.option_error("downscale_factor", wanted, r));
        }
        let g = &mut cx.graph;
        let squares = g.reshape(x, &[b, c, h / r, r, w / r, r])?;
        let channels = g.permute(squares, &[0, 1, 3, 5, 2, 4])?;
        Ok(g.reshape(channels, &[b, c * r * r, h / r, w / r])?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
