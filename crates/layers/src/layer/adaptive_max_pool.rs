//! Largest elements of as many windows as the output has elements.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adaptive::{Adaptive, check, longest, windows};
use super::take::take;
use super::window::{self, Window};
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// `[c, size...] -> [c, output_size...]`: output `i` of an axis is the largest of the elements from
/// `floor(i size / output_size)` to `ceil((i + 1) size / output_size)`, as in PyTorch. The gradient goes to
/// the first of equal elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "S: Sizes")]
#[schemars(bound = "S: Sizes", rename = "AdaptiveMaxPool{S}")]
pub struct AdaptiveMaxPool<S: Sizes> {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The size of the output.
    pub output_size: S,
}

impl<S: Sizes> AdaptiveMaxPool<S> {
    /// To the given size.
    pub fn new(output_size: impl Into<S>) -> Self {
        AdaptiveMaxPool { name: None, output_size: output_size.into() }
    }
}

/// Windows of several sizes: the shorter ones repeat their last element, which changes no maximum, and then
/// all stand side by side.
fn uneven(g: &mut Graph, x: Value, outputs: &[usize]) -> Result<Value, GraphError> {
    let (mut x, mut tiles) = (x, Vec::new());
    for (axis, &outputs) in outputs.iter().enumerate() {
        let size = g.shape(x).dims()[2 + axis];
        let longest = longest(size, outputs);
        let of_window =
            |(start, end): (usize, usize)| (start..start + longest).map(move |at| at.min(end - 1));
        let places: Vec<usize> = windows(size, outputs).flat_map(of_window).collect();
        x = take(g, x, 2 + axis, &places)?;
        tiles.push(longest);
    }
    window::pool(g, x, &Window::tiles(tiles), Graph::max_pool)
}

impl<S: Sizes> Layer for AdaptiveMaxPool<S> {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let tiles = match check(cx, x, self.output_size)? {
            Adaptive::Same => return Ok(x),
            Adaptive::Whole => Window::tiles(cx.sample(x)[1..].to_vec()),
            Adaptive::Even(tiles) => tiles,
            Adaptive::Uneven(outputs) => return Ok(uneven(&mut cx.graph, x, &outputs)?),
        };
        Ok(window::pool(&mut cx.graph, x, &tiles, Graph::max_pool)?)
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.inputs()
    }
}
