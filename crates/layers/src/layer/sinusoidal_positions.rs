//! Fixed waves of positions.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learned_positions::positions;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// `y = x + p` with `p[t, 2i] = sin(t / base^(2i / d))` and `p[t, 2i + 1] = cos(t / base^(2i / d))` for
/// samples `[t, d]` (Vaswani et al., "Attention Is All You Need", 2017, section 3.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinusoidalPositions {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the wavelengths grow to, in positions and divided by 2 pi; default 10000.
    pub base: f32,
}

impl Default for SinusoidalPositions {
    fn default() -> Self {
        SinusoidalPositions { name: None, base: 10_000.0 }
    }
}

impl SinusoidalPositions {
    /// With the paper's wavelengths.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Layer for SinusoidalPositions {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let [length, width] = positions(cx, x)?;
        check_base(cx, self.base)?;
        let wave = |t: usize, i: usize| {
            let angle = angle(t, 2 * (i / 2), width, self.base);
            (if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
        };
        let places = cx.places(length);
        let waves: Vec<f32> =
            (0..places).flat_map(|t| (0..width).map(move |i| wave(t, i))).collect();
        let waves = cx.graph.constant_tensor(&[places, width], &waves)?;
        let waves = cx.rows_in_place(waves)?;
        Ok(cx.graph.add(x, waves)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.outputs()
    }
}

/// `t / base^(i / d)`
pub(super) fn angle(t: usize, i: usize, d: usize, base: f32) -> f64 {
    t as f64 / f64::from(base).powf(i as f64 / d as f64)
}

pub(super) fn check_base(cx: &BuildContext, base: f32) -> Result<(), LayerError> {
    if base.is_finite() && base > 0.0 {
        return Ok(());
    }
    Err(cx.option_error("base", "finite and more than 0", base))
}
