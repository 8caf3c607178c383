//! Pictures of another size.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::take::take;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// How values between the pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpsampleMode {
    /// The pixel before.
    #[default]
    Nearest,
    /// On the line between two, of samples `[c, l]`.
    Linear,
    /// The same in two directions, of samples `[c, h, w]`.
    Bilinear,
    /// The same in three directions, of samples `[c, d, h, w]`.
    Trilinear,
    /// By cubic convolution of four pixels in each direction, of samples `[c, h, w]` (Keys, "Cubic
    /// Convolution Interpolation for Digital Image Processing", 1981, with `a = -0.75`).
    Bicubic,
}

impl UpsampleMode {
    /// The axes behind the channels that the mode is for, where it is for some.
    fn axes(self) -> Option<usize> {
        match self {
            UpsampleMode::Nearest => None,
            UpsampleMode::Linear => Some(1),
            UpsampleMode::Bilinear | UpsampleMode::Bicubic => Some(2),
            UpsampleMode::Trilinear => Some(3),
        }
    }
}

/// Samples `[c, ...]` with one to three axes behind the channels at another resolution, as PyTorch's
/// `Upsample` makes them: output `i` lies at `(i + 1/2) in/out - 1/2` of the input, with
/// `align_corners` at `i (in - 1)/(out - 1)`; the nearest is pixel `floor(i in/out)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upsample {
    /// The layer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The output's sizes of the axes behind the channels. Either this or `scale_factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Vec<usize>>,
    /// How many times as large each of these axes becomes, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_factor: Option<f64>,
    /// `nearest` (default), `linear`, `bilinear`, `trilinear` or `bicubic`.
    pub mode: UpsampleMode,
    /// Whether the first and last pixels of both stand at the same places; default false.
    pub align_corners: bool,
}

/// What each output of an axis is a sum of: places in the input, and their weights.
struct Tap {
    places: Vec<usize>,
    weights: Vec<f32>,
}

impl Upsample {
    /// So many times as large, by the nearest pixel.
    pub fn new(scale_factor: f64) -> Self {
        Upsample { scale_factor: Some(scale_factor), ..Upsample::default() }
    }

    /// To the given sizes of the axes behind the channels, by the nearest pixel.
    pub fn to(size: impl Into<Vec<usize>>) -> Self {
        Upsample { size: Some(size.into()), ..Upsample::default() }
    }

    /// The sizes before and after of the axes behind the channels.
    fn check(&self, cx: &BuildContext, x: Value) -> Result<(Vec<usize>, Vec<usize>), LayerError> {
        cx.expect_f32(x)?;
        let dims = cx.dims(x);
        let before = dims.get(2..).unwrap_or_default().to_vec();
        let fits = |axes: usize| before.len() == axes;
        if !self.mode.axes().map_or((1..=3).contains(&before.len()), fits) {
            let wanted = match self.mode.axes() {
                None => "[channels, ...] with one to three axes more a sample".to_owned(),
                Some(axes) => {
                    format!("[channels, ...] with {axes} axes more a sample in this mode")
                }
            };
            return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
        }
        if self.align_corners && self.mode == UpsampleMode::Nearest {
            return Err(cx.option_error("align_corners", "false for the nearest pixel", true));
        }
        let after = match (&self.size, self.scale_factor) {
            (Some(size), None) if size.len() == before.len() => size.clone(),
            (Some(size), None) => {
                let wanted = format!("a size for each of {} axes", before.len());
                return Err(cx.option_error("size", wanted, format!("{size:?}")));
            }
            (None, Some(factor)) if factor.is_finite() && factor > 0.0 => {
                before.iter().map(|&size| (size as f64 * factor).floor() as usize).collect()
            }
            (None, Some(factor)) => {
                return Err(cx.option_error("scale_factor", "finite and above 0", factor));
            }
            (size, _) => {
                let got = if size.is_some() { "both" } else { "neither" };
                return Err(cx.option_error("size", "given, or else `scale_factor`", got));
            }
        };
        if after.iter().any(|size| !(1..=Pair::MAX).contains(size)) {
            let wanted = format!("such that each size is between 1 and {}", Pair::MAX);
            return Err(cx.option_error("size", wanted, format!("{after:?}")));
        }
        Ok((before, after))
    }

    /// What the outputs of an axis are sums of.
    fn taps(&self, size: usize, outputs: usize) -> Vec<Tap> {
        let ratio = match self.scale_factor {
            Some(factor) => 1.0 / factor,
            None => size as f64 / outputs as f64,
        };
        let last = size - 1;
        if self.mode == UpsampleMode::Nearest {
            let place = |i: usize| ((i as f64 * ratio).floor() as usize).min(last);
            return vec![Tap { places: (0..outputs).map(place).collect(), weights: Vec::new() }];
        }
        let at = |i: usize| match self.align_corners {
            true if outputs == 1 => 0.0,
            true => i as f64 * (last as f64 / (outputs - 1) as f64),
            false => (i as f64 + 0.5) * ratio - 0.5,
        };
        let cubic = self.mode == UpsampleMode::Bicubic;
        let offsets = if cubic { -1..3 } else { 0..2 };
        let tap = |offset: i64| {
            let (mut places, mut weights) = (Vec::new(), Vec::new());
            for i in 0..outputs {
                let at = if cubic { at(i) } else { at(i).max(0.0) };
                let base = at.floor();
                places.push((base as i64 + offset).clamp(0, last as i64) as usize);
                let distance = (at - base - offset as f64).abs();
                weights.push(if cubic { cubic_weight(distance) } else { 1.0 - distance } as f32);
            }
            Tap { places, weights }
        };
        offsets.map(tap).collect()
    }
}

/// Keys' kernel at a distance of at most 2.
fn cubic_weight(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let d = distance;
    if d <= 1.0 {
        return ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    }
    ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A
}

/// The sum over the taps of an axis.
fn along(g: &mut Graph, x: Value, axis: usize, taps: &[Tap]) -> Result<Value, GraphError> {
    let mut dims = vec![1; g.shape(x).rank()];
    let mut sum = None;
    for tap in taps {
        let mut part = take(g, x, axis, &tap.places)?;
        if !tap.weights.is_empty() {
            dims[axis] = tap.weights.len();
            let weights = g.constant_tensor(&dims, &tap.weights)?;
            part = g.mul(part, weights)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => g.add(sum, part)?,
        });
    }
    Ok(sum.unwrap_or(x))
}

impl Layer for Upsample {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let (before, after) = self.check(cx, x)?;
        let mut y = x;
        for (axis, (&size, &outputs)) in before.iter().zip(&after).enumerate() {
            y = along(&mut cx.graph, y, 2 + axis, &self.taps(size, outputs))?;
        }
        Ok(y)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        let taps = match self.mode {
            UpsampleMode::Nearest => 0,
            UpsampleMode::Bicubic => 8,
            mode => 4 * mode.axes().unwrap_or(1),
        };
        shapes.per_output(taps as u64)
    }
}
