//! Windows over sequences, pictures and volumes, made of the engine's, which are over pictures.
//!
//! A sequence is a picture of one row. A volume's convolution takes the slices in depth that belong to one
//! output as channels of a picture, and the depths of the output as samples.

use onestep_engine::ops::{ConvWindow, PoolWindow};
use onestep_engine::{Graph, GraphError, Shape, Value};

/// How a window moves, one size for each axis behind the channels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) size: Vec<usize>,
    pub(super) stride: Vec<usize>,
    /// What stands before the first element.
    pub(super) low: Vec<usize>,
    /// What stands behind the last element.
    pub(super) high: Vec<usize>,
    pub(super) dilation: Vec<usize>,
}

impl Window {
    /// Windows side by side.
    pub(super) fn tiles(size: Vec<usize>) -> Self {
        let (none, one) = (vec![0; size.len()], vec![1; size.len()]);
        Window { stride: size.clone(), low: none.clone(), high: none, dilation: one, size }
    }

    pub(super) fn axes(&self) -> usize {
        self.size.len()
    }

    /// The elements from the first to the last of a window.
    pub(super) fn extent(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.size[axis] - 1) + 1
    }

    /// The extents of all axes.
    pub(super) fn extents(&self) -> Vec<usize> {
        (0..self.axes()).map(|axis| self.extent(axis)).collect()
    }

    /// How many windows an axis of `size` has, `None` where not one fits.
    pub(super) fn count(&self, axis: usize, size: usize) -> Option<usize> {
        let padded = size + self.low[axis] + self.high[axis];
        Some(padded.checked_sub(self.extent(axis))? / self.stride[axis] + 1)
    }

    /// The window of two axes of a picture, with `None` for one that stays as it is.
    fn pool(&self, axes: [Option<usize>; 2]) -> PoolWindow {
        let of = |sizes: &[usize], none: usize| axes.map(|axis| axis.map_or(none, |a| sizes[a]));
        PoolWindow {
            size: of(&self.size, 1),
            stride: of(&self.stride, 1),
            pad_low: of(&self.low, 0),
            pad_high: of(&self.high, 0),
            dilation: of(&self.dilation, 1),
        }
    }

    fn conv(&self, axes: [Option<usize>; 2], groups: usize) -> ConvWindow {
        let PoolWindow { stride, pad_low, pad_high, dilation, .. } = self.pool(axes);
        ConvWindow { stride, pad_low, pad_high, dilation, groups }
    }
}

/// The last two axes of a volume, and the last of a sequence.
const PICTURE: [Option<usize>; 2] = [Some(0), Some(1)];
const SLICE: [Option<usize>; 2] = [Some(1), Some(2)];
const LINE: [Option<usize>; 2] = [None, Some(0)];

/// A pool of the engine, [`Graph::max_pool`] or [`Graph::sum_pool`], over `x [n, c, ...]`.
///
/// Over a volume it goes first over each slice, then over their results: the first of equal elements stays
/// the first.
pub(super) fn pool(
    g: &mut Graph,
    x: Value,
    window: &Window,
    op: fn(&mut Graph, Value, PoolWindow) -> Result<Value, GraphError>,
) -> Result<Value, GraphError> {
    let dims = g.shape(x).dims().to_vec();
    match dims[..] {
        [n, c, length] => {
            let x = g.reshape(x, &[n, c, 1, length])?;
            let y = op(g, x, window.pool(LINE))?;
            let length = g.shape(y).dims()[3];
            g.reshape(y, &[n, c, length])
        }
        [n, c, depth, height, width] => {
            let x = g.reshape(x, &[n, c * depth, height, width])?;
            let slices = op(g, x, window.pool(SLICE))?;
            let [height, width] = [2, 3].map(|axis| g.shape(slices).dims()[axis]);
            let slices = g.reshape(slices, &[n, c, depth, height * width])?;
            let y = op(g, slices, window.pool([Some(0), None]))?;
            let depth = g.shape(y).dims()[2];
            g.reshape(y, &[n, c, depth, height, width])
        }
        _ => op(g, x, window.pool(PICTURE)),
    }
}

/// The convolution of `x [n, c, ...]` with `weight [o, c / groups, ...]`.
pub(super) fn conv(
    g: &mut Graph,
    x: Value,
    weight: Value,
    window: &Window,
    groups: usize,
) -> Result<Value, GraphError> {
    let (dims, kernel) = (g.shape(x).dims().to_vec(), g.shape(weight).dims().to_vec());
    match (&dims[..], &kernel[..]) {
        (&[n, c, length], &[o, inner, size]) => {
            let x = g.reshape(x, &[n, c, 1, length])?;
            let weight = g.reshape(weight, &[o, inner, 1, size])?;
            let y = g.conv(x, weight, window.conv(LINE, groups))?;
            let length = g.shape(y).dims()[3];
            g.reshape(y, &[n, o, length])
        }
        (&[n, c, _, height, width], &[o, inner, slices, kh, kw]) => {
            let stacked = stack(g, x, 2, window, 0)?;
            let depth = g.shape(stacked).dims()[3];
            let samples = g.permute(stacked, &[0, 3, 1, 2, 4, 5])?;
            let samples = g.reshape(samples, &[n * depth, c * slices, height, width])?;
            let weight = g.reshape(weight, &[o, inner * slices, kh, kw])?;
            let y = g.conv(samples, weight, window.conv(SLICE, groups))?;
            let [height, width] = [2, 3].map(|axis| g.shape(y).dims()[axis]);
            let y = g.reshape(y, &[n, depth, o, height, width])?;
            g.permute(y, &[0, 2, 1, 3, 4])
        }
        _ => g.conv(x, weight, window.conv(PICTURE, groups)),
    }
}

/// The gradient of [`conv`] in its input, at `x [n, c, ...]` with `weight [c, o / groups, ...]`; `output` is
/// the shape of the result.
pub(super) fn conv_transposed(
    g: &mut Graph,
    x: Value,
    weight: Value,
    window: &Window,
    groups: usize,
    output: &[usize],
) -> Result<Value, GraphError> {
    let (dims, kernel) = (g.shape(x).dims().to_vec(), g.shape(weight).dims().to_vec());
    match (&dims[..], &kernel[..], output) {
        (&[n, c, length], &[_, outer, size], &[_, o, outputs]) => {
            let x = g.reshape(x, &[n, c, 1, length])?;
            let weight = g.reshape(weight, &[c, outer, 1, size])?;
            let shape = Shape::new(&[n, o, 1, outputs])?;
            let y = g.conv_input_grad(x, weight, window.conv(LINE, groups), &shape)?;
            g.reshape(y, output)
        }
        (
            &[n, c, depth, height, width],
            &[_, outer, slices, kh, kw],
            &[_, o, outputs, out_height, out_width],
        ) => {
            let samples = g.permute(x, &[0, 2, 1, 3, 4])?;
            let samples = g.reshape(samples, &[n * depth, c, height, width])?;
            let weight = g.reshape(weight, &[c, outer * slices, kh, kw])?;
            let shape = Shape::new(&[n * depth, o * slices, out_height, out_width])?;
            let y = g.conv_input_grad(samples, weight, window.conv(SLICE, groups), &shape)?;
            let y = g.reshape(y, &[n, depth, o, slices, out_height, out_width])?;
            let stacked = g.permute(y, &[0, 2, 3, 1, 4, 5])?;
            unstack(g, stacked, 2, window, 0, outputs)
        }
        _ => {
            let shape = Shape::new(output)?;
            g.conv_input_grad(x, weight, window.conv(PICTURE, groups), &shape)
        }
    }
}

/// The elements of each window along one axis of `x`: `[.., size, ..] -> [.., elements, windows, ..]`.
/// `of` is the axis's number in the window.
pub(super) fn stack(
    g: &mut Graph,
    x: Value,
    axis: usize,
    window: &Window,
    of: usize,
) -> Result<Value, GraphError> {
    let size = g.shape(x).dims()[axis];
    let (stride, low) = (window.stride[of], window.low[of]);
    let windows = window.count(of, size).unwrap_or(0);
    // So that whole steps can be cut out, of which the first element is the window's.
    let needed = window.dilation[of] * (window.size[of] - 1) + windows * stride;
    let padded = pad_axis(g, x, axis, [low, needed.saturating_sub(low + size)])?;
    let mut parts = Vec::with_capacity(window.size[of]);
    for element in 0..window.size[of] {
        let start = element * window.dilation[of];
        let part = g.slice_axis(padded, axis, start, start + windows * stride)?;
        let mut dims = g.shape(part).dims().to_vec();
        dims.splice(axis..=axis, [windows, stride]);
        let part = g.reshape(part, &dims)?;
        let part = g.slice_axis(part, axis + 1, 0, 1)?;
        dims.splice(axis..axis + 2, [1, windows]);
        parts.push(g.reshape(part, &dims)?);
    }
    g.concat(&parts, axis)
}

/// The gradient of [`stack`]: elements of windows are added up where they came from,
/// `[.., elements, windows, ..] -> [.., size, ..]`.
pub(super) fn unstack(
    g: &mut Graph,
    x: Value,
    axis: usize,
    window: &Window,
    of: usize,
    size: usize,
) -> Result<Value, GraphError> {
    let windows = g.shape(x).dims()[axis + 1];
    let (stride, low) = (window.stride[of], window.low[of]);
    let whole = (window.dilation[of] * (window.size[of] - 1) + windows * stride).max(low + size);
    let mut sum = None;
    for element in 0..window.size[of] {
        let part = g.slice_axis(x, axis, element, element + 1)?;
        let mut dims = g.shape(part).dims().to_vec();
        dims.splice(axis..axis + 2, [windows, 1]);
        let part = g.reshape(part, &dims)?;
        let part = pad_axis(g, part, axis + 1, [0, stride - 1])?;
        dims.splice(axis..axis + 2, [windows * stride]);
        let part = g.reshape(part, &dims)?;
        let before = element * window.dilation[of];
        let part = pad_axis(g, part, axis, [before, whole - before - windows * stride])?;
        sum = Some(match sum {
            None => part,
            Some(sum) => g.add(sum, part)?,
        });
    }
    g.slice_axis(sum.unwrap_or(x), axis, low, low + size)
}

/// So many zeros before and behind an axis.
fn pad_axis(
    g: &mut Graph,
    x: Value,
    axis: usize,
    [before, behind]: [usize; 2],
) -> Result<Value, GraphError> {
    if before == 0 && behind == 0 {
        return Ok(x);
    }
    let rank = g.shape(x).rank();
    let at = |size: usize| (0..rank).map(|a| if a == axis { size } else { 0 }).collect::<Vec<_>>();
    g.pad(x, &at(before), &at(behind), 0.0)
}
