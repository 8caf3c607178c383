//! Channels become pixels.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `[c r^2, h, w] -> [c, h r, w r]`: each pixel becomes a square of `r x r` pixels, taken from `r^2`
/// neighbouring channels (Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
/// Efficient Sub-Pixel Convolutional Neural Network", 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The side `r` of the square.
    pub upscale_factor: usize,
}

impl PixelShuffle {
    /// With squares of that side.
    pub fn new(upscale_factor: usize) -> Self {
        PixelShuffle { name: None, upscale_factor }
    }
}

impl Layer for PixelShuffle {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let r = self.upscale_factor;
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        let dims = cx.dims(x);
        let (b, c, h, w) = (dims[0], dims[1], dims[2], dims[3]);
        let square = r.checked_mul(r).filter(|&square| square > 0 && c.is_multiple_of(square));
        let Some(square) = square else {
            let wanted = format!("at least 1, its square a divisor of the {c} channels");
            return Err(cx.option_error("upscale_factor", wanted, r));
        };
        let g = &mut cx.graph;
        let squares = g.reshape(x, &[b, c / square, r, r, h, w])?;
        let between = g.permute(squares, &[0, 1, 4, 2, 5, 3])?;
        Ok(g.reshape(between, &[b, c / square, h * r, w * r])?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
