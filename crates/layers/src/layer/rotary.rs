//! Positions as rotations.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sinusoidal_positions::{angle, check_base};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// Turns pairs of numbers of each position `t` of `[..., t, d]` by the angle `t / base^(2i / dims)` for the
/// pair `i` (Su et al., "RoFormer", 2021). A pair is `x[i], x[i + dims / 2]`, as in GPT-NeoX and Llama's
/// published weights of Hugging Face, or with `interleaved` the paper's `x[2i], x[2i + 1]`.
///
/// As the option `rotary` of attention it turns queries and keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotary {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the wavelengths grow to, in positions and divided by 2 pi; default 10000.
    pub base: f32,
    /// How many numbers of a position are turned, the first ones; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dims: Option<usize>,
    /// Whether a pair is of neighbours; default false.
    pub interleaved: bool,
}

impl Default for Rotary {
    fn default() -> Self {
        Rotary { name: None, base: 10_000.0, dims: None, interleaved: false }
    }
}

impl Rotary {
    /// Over all numbers of a position, in halves.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of `width` numbers are turned.
    fn turned(&self, cx: &BuildContext, width: usize) -> Result<usize, LayerError> {
        check_base(cx, self.base)?;
        let turned = self.dims.unwrap_or(width);
        if turned == 0 || !turned.is_multiple_of(2) || turned > width {
            let wanted = format!("even, at least 2 and at most the {width} numbers of a position");
            return Err(cx.option_error("dims", wanted, turned));
        }
        Ok(turned)
    }

    /// `x [..., t, d]`, turned.
    pub(super) fn turn(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = cx.dims(x);
        let (axis, width) = (dims.len() - 1, dims[dims.len() - 1]);
        let turned = self.turned(cx, width)?;
        if turned == width {
            return self.turn_all(cx, x);
        }
        let first = cx.graph.slice_axis(x, axis, 0, turned)?;
        let rest = cx.graph.slice_axis(x, axis, turned, width)?;
        let first = self.turn_all(cx, first)?;
        Ok(cx.graph.concat(&[first, rest], axis)?)
    }

    /// `(a, b)` to `(a cos - b sin, b cos + a sin)`, with the pairs' numbers along the axis before the last or
    /// the last of `[..., t, 2, d / 2]` or `[..., t, d / 2, 2]`.
    fn turn_all(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = cx.dims(x);
        let (length, width) = (dims[dims.len() - 2], dims[dims.len() - 1]);
        let rows: usize = dims[..dims.len() - 2].iter().product();
        let half = width / 2;
        // Where all heads of a sample are at one position, samples differ, not rows.
        let (rows, length, first, second) = match cx.position() {
            Some(_) => (dims[0], rows / dims[0], dims[0], 1),
            None => (rows, length, 1, length),
        };
        let (pairs, one, axis) = match self.interleaved {
            true => ([rows, length, half, 2], [first, second, half, 1], 3),
            false => ([rows, length, 2, half], [first, second, 1, half], 2),
        };
        let places = cx.places(dims[dims.len() - 2]);
        let angles: Vec<f64> = (0..places)
            .flat_map(|t| (0..half).map(move |i| angle(t, 2 * i, width, self.base)))
            .collect();
        let [cos, sin] = [f64::cos, f64::sin]
            .map(|wave| angles.iter().map(|&angle| wave(angle) as f32).collect::<Vec<_>>());
        let mut wave = |wave: &[f32]| -> Result<Value, LayerError> {
            let table = cx.graph.constant_tensor(&[places, half], wave)?;
            let rows = cx.rows_in_place(table)?;
            Ok(cx.graph.reshape(rows, &one)?)
        };
        let [cos, sin] = [wave(&cos)?, wave(&sin)?];
        let g = &mut cx.graph;
        let x = g.reshape(x, &pairs)?;
        let a = g.slice_axis(x, axis, 0, 1)?;
        let b = g.slice_axis(x, axis, 1, 2)?;
        let [a_cos, a_sin] = [g.mul(a, cos)?, g.mul(a, sin)?];
        let [b_cos, b_sin] = [g.mul(b, cos)?, g.mul(b, sin)?];
        let [low, high] = [g.sub(a_cos, b_sin)?, g.add(b_cos, a_sin)?];
        let y = g.concat(&[low, high], axis)?;
        Ok(g.reshape(y, &dims)?)
    }
}

impl Layer for Rotary {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_f32(x)?;
        if cx.dims(x).len() < 3 {
            let got = format!("{:?}", &cx.dims(x)[1..]);
            return Err(cx.input_error("[..., positions, features] a sample", got));
        }
        self.turn(cx, x)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(3)
    }
}
