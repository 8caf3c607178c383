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

/// The most elements of an averaging matrix: 64 MiB.
const MAX_MATRIX: usize = 1 << 24;

/// The matrix `[size, outputs]` whose product with a row gives the means of its windows.
fn averaging_matrix(size: usize, outputs: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; size * outputs];
    for output in 0..outputs {
        let start = output * size / outputs;
        let end = ((output + 1) * size).div_ceil(outputs);
        for element in start..end {
            matrix[element * outputs + output] = 1.0 / (end - start) as f32;
        }
    }
    matrix
}

/// Windows of one size side by side.
fn even(g: &mut Graph, x: Value, size: [usize; 2]) -> Result<Value, GraphError> {
    let window =
        PoolWindow { size, stride: size, pad_low: [0; 2], pad_high: [0; 2], dilation: [1; 2] };
    let sum = g.sum_pool(x, window)?;
    g.scale(sum, 1.0 / (size[0] * size[1]) as f32)
}

/// Windows of several sizes: a product with an averaging matrix for each axis.
fn uneven(g: &mut Graph, x: Value, outputs: [usize; 2]) -> Result<Value, GraphError> {
    let (&[n, c, h, w], [oh, ow]) = (&g.shape(x).dims().to_vec()[..], outputs) else {
        return Err(GraphError::shape("adaptive_avg_pool2d", "rank 4", g.shape(x)));
    };
    let columns = g.constant_tensor(&[w, ow], &averaging_matrix(w, ow))?;
    let rows = g.constant_tensor(&[h, oh], &averaging_matrix(h, oh))?;
    let x = g.reshape(x, &[n * c * h, w])?;
    let x = g.matmul(x, columns)?;
    let x = g.reshape(x, &[n, c, h, ow])?;
    let x = g.permute(x, &[0, 1, 3, 2])?;
    let x = g.reshape(x, &[n * c * ow, h])?;
    let x = g.matmul(x, rows)?;
    let x = g.reshape(x, &[n, c, ow, oh])?;
    g.permute(x, &[0, 1, 3, 2])
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
            let elements = size[axis].saturating_mul(outputs[axis]);
            if elements > MAX_MATRIX {
                let wanted = format!(
                    "smaller, or divide the input's {size:?}: averaging windows of several sizes \
                     takes a matrix of at most {MAX_MATRIX} elements"
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
