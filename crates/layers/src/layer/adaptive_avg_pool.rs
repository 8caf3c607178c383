//! Means over as many windows as the output has elements.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adaptive::{Adaptive, check, longest, windows};
use super::window;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// `[c, size...] -> [c, output_size...]`: output `i` of an axis is the mean of the elements from
/// `floor(i size / output_size)` to `ceil((i + 1) size / output_size)`, as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "AdaptiveAvgPool{S}")]
pub struct AdaptiveAvgPool<S: Sizes> {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The size of the output.
    pub output_size: S,
}

impl<S: Sizes> AdaptiveAvgPool<S> {
    /// To the given size.
    pub fn new(output_size: impl Into<S>) -> Self {
        AdaptiveAvgPool { name: None, output_size: output_size.into() }
    }
}

/// Windows of several sizes, an axis after the other.
fn uneven(g: &mut Graph, x: Value, outputs: &[usize]) -> Result<Value, GraphError> {
    // Each axis comes to the front once: [h, w, n, c], then [w, n, c, oh], then [n, c, oh, ow].
    let rank = g.shape(x).rank();
    let front: Vec<usize> = (2..rank).chain([0, 1]).collect();
    let next: Vec<usize> = (1..rank).chain([0]).collect();
    let mut x = g.permute(x, &front)?;
    for &outputs in outputs {
        x = means_over_first(g, x, outputs)?;
        x = g.permute(x, &next)?;
    }
    Ok(x)
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

impl<S: Sizes> Layer for AdaptiveAvgPool<S> {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let tiles = match check(cx, x, self.output_size)? {
            Adaptive::Same => return Ok(x),
            Adaptive::Whole => {
                // Unlike a pool's, the gradient of a mean is a broadcast, which fuses.
                let axes: Vec<usize> = (2..2 + S::AXES).collect();
                return Ok(cx.graph.mean(x, &axes, true)?);
            }
            Adaptive::Uneven(outputs) => return Ok(uneven(&mut cx.graph, x, &outputs)?),
            Adaptive::Even(tiles) => tiles,
        };
        let elements: usize = tiles.size.iter().product();
        let sum = window::pool(&mut cx.graph, x, &tiles, Graph::sum_pool)?;
        Ok(cx.graph.scale(sum, 1.0 / elements as f32)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs() + shapes.outputs()
    }
}
