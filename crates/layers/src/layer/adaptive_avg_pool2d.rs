//! Means over as many windows as the output has elements.

use onestep_engine::ops::PoolWindow;
use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// `[c, h, w] -> [c, ...output_size]`: output `i` of an axis is the mean of the elements from
/// `floor(i size / output_size)` to `ceil((i + 1) size / output_size)`, as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The size of the output.
    pub output_size: Pair,
}

impl AdaptiveAvgPool2d {
    /// To the given size.
    pub fn new(output_size: impl Into<Pair>) -> Self {
        AdaptiveAvgPool2d { name: None, output_size: output_size.into() }
    }
}

/// The most elements that the windows of one axis may have together.
const MAX_ELEMENTS: usize = 1 << 24;

/// Where the windows of one axis begin and end.
fn windows(size: usize, outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..outputs).map(move |i| (i * size / outputs, ((i + 1) * size).div_ceil(outputs)))
}

/// The most elements of a window of one axis.
fn longest(size: usize, outputs: usize) -> usize {
    // Both ends may cut a whole element in two.
    (size.div_ceil(outputs) + 1).min(size)
}

/// Windows of one size side by side.
fn even(g: &mut Graph, x: Value, size: [usize; 2]) -> Result<Value, GraphError> {
    let window =
        PoolWindow { size, stride: size, pad_low: [0; 2], pad_high: [0; 2], dilation: [1; 2] };
    let sum = g.sum_pool(x, window)?;
    g.scale(sum, 1.0 / (size[0] * size[1]) as f32)
}

/// Windows of several sizes, an axis after the other.
fn uneven(g: &mut Graph, x: Value, outputs: [usize; 2]) -> Result<Value, GraphError> {
    // Each axis comes to the front once: [h, w, n, c], then [w, n, c, oh], then [n, c, oh, ow].
    let x = g.permute(x, &[2, 3, 0, 1])?;
    let x = means_over_first(g, x, outputs[0])?;
    let x = g.permute(x, &[1, 2, 3, 0])?;
    let x = means_over_first(g, x, outputs[1])?;
    g.permute(x, &[1, 2, 3, 0])
}

/// The means of windows of several sizes along the first axis: `[size, ...] -> [outputs, ...]`.
///
/// The elements of each window are gathered, and what a shorter window has too many is left out by
/// choice. In a product with an averaging matrix an infinite or undefined element would spread
/// through its zeros into all other windows.
fn means_over_first(g: &mut Graph, x: Value, outputs: usize) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    let (size, rest) = (dims[0], dims[1..].iter().product());
    let longest = longest(size, outputs);
    let (mut indices, mut inside, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (start, end) in windows(size, outputs) {
        indices.extend((start..start + longest).map(|at| at.min(end - 1) as i32));
        inside.extend((start..start + longest).map(|at| f32::from(u8::from(at < end))));
        counts.push((end - start) as f32);
    }
    let rows = g.reshape(x, &[size, rest])?;
    let indices = g.constant_indices(&[outputs * longest], &indices)?;
    let gathered = g.gather(rows, indices)?;
    let gathered = g.reshape(gathered, &[outputs, longest, rest])?;
    let inside = g.constant_tensor(&[outputs, longest, 1], &inside)?;
    let nothing = g.constant(0.0)?;
    let kept = g.select(inside, gathered, nothing)?;
    let sums = g.sum(kept, &[1], false)?;
    let counts = g.constant_tensor(&[outputs, 1], &counts)?;
    let means = g.div(sums, counts)?;
    g.reshape(means, &[&[outputs], &dims[1..]].concat())
}

impl Layer for AdaptiveAvgPool2d {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        cx.check_pair("output_size", self.output_size, 1)?;
        let (size, outputs) = ([cx.dims(x)[2], cx.dims(x)[3]], self.output_size.to_array());
        if size == outputs {
            return Ok(x);
        }
        if outputs == [1, 1] {
            // Unlike a pool's, the gradient of a mean is a broadcast, which fuses.
            return Ok(cx.graph.mean(x, &[2, 3], true)?);
        }
        let divides = |axis: usize| size[axis].is_multiple_of(outputs[axis]);
        if divides(0) && divides(1) {
            let window = [size[0] / outputs[0], size[1] / outputs[1]];
            return Ok(even(&mut cx.graph, x, window)?);
        }
        for axis in 0..2 {
            let elements = outputs[axis].saturating_mul(longest(size[axis], outputs[axis]));
            if elements > MAX_ELEMENTS {
                let wanted = format!(
                    "smaller, or divide the input's {size:?}: windows of several sizes have at \
                     most {MAX_ELEMENTS} elements an axis together"
                );
                return Err(cx.option_error("output_size", wanted, self.output_size));
            }
        }
        Ok(uneven(&mut cx.graph, x, outputs)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs() + shapes.outputs()
    }
}
