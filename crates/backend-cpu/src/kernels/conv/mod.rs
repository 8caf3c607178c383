//! Convolutions and their gradients without copies of windows: see [`planes`] for the idea.
//!
//! | op | as |
//! | --- | --- |
//! | `conv` | one pass of sums over the input's planes |
//! | `conv_input_grad` | for each residue of the stride, a pass of sums over the gradient's planes |
//! | `conv_weight_grad` | outer products of the input's planes with the gradient, channels last; with few channels, dot products of the planes |

mod classes;
mod geometry;
mod grid;
mod moments;
mod outer;
mod passes;
mod pixels;
mod planes;
mod sums;
mod weight_grad;
mod window_pixels;
mod winograd;

use onestep_engine::ops::ConvWindow;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError, Shape};

use self::classes::Sums;
use self::outer::OuterKernel;
use self::pixels::PixelsKernel;
use self::sums::{Operands, SumsKernel, WeightLayout};
use self::weight_grad::WeightGradKernel;
use self::winograd::Filter;
use crate::native::{Native, Regions, broken, expect};
use crate::simd::Level;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
struct Problem {
    batch: usize,
    groups: usize,
    /// Channels of a group.
    in_channels: usize,
    out_channels: usize,
    kernel: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
}

impl Problem {
    fn new(window: &ConvWindow, x: &Shape, w: &Shape, y: &Shape) -> Result<Problem, EngineError> {
        let fits = x.rank() == 4 && w.rank() == 4 && y.rank() == 4 && window.groups > 0;
        if !fits
            || x[1] != w[1] * window.groups
            || y[1] != w[0]
            || !w[0].is_multiple_of(window.groups)
        {
            return Err(broken(format!("a convolution of {x} with {w} to {y}")));
        }
        Ok(Problem {
            batch: x[0],
            groups: window.groups,
            in_channels: w[1],
            out_channels: w[0] / window.groups,
            kernel: [w[2], w[3]],
            input: [x[2], x[3]],
            output: [y[2], y[3]],
        })
    }

    /// Elements of a group's weights and of one output channel's.
    fn weights(&self) -> (usize, usize) {
        let channel = self.in_channels * self.kernel[0] * self.kernel[1];
        (self.out_channels * channel, channel)
    }
}

/// Two f32 operands and an f32 result.
fn operands<'a>(
    op: &str,
    inputs: &'a [Place],
    out: &'a Place,
) -> Result<Operands<'a>, EngineError> {
    let [source, weight] = inputs else { return Err(broken(format!("{op} needs two operands"))) };
    for place in [source, weight, out] {
        expect(op, place, DType::F32)?;
    }
    Ok(Operands { source, weight, out, moments: None })
}

/// Lowers `(x, weight) -> y`.
pub(super) fn lower(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    let o = operands("conv", inputs, output)?;
    let p = Problem::new(window, &o.source.shape, &o.weight.shape, &o.out.shape)?;
    if let Some(kernel) = lower_channels_last(window, &p, &o, regions, machine)? {
        return Ok(kernel);
    }
    let layout = forward_weights(&p);
    let passes = passes::forward(window, p.kernel, p.input, p.output);
    let sizes = (p.in_channels, p.out_channels);
    Ok(Box::new(SumsKernel::new(&p, passes, layout, sizes, &o, regions, machine)?))
}

/// Lowers `(x, weight) -> y` with the moments of `y`: the mean of each channel, and the sum of its
/// squared deviations from it. `None` where the convolution has another way to go.
pub(super) fn lower_with_moments(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    moments: [&Place; 2],
    regions: Regions,
    machine: (usize, Level),
) -> Result<Option<Box<dyn Native>>, EngineError> {
    for place in moments {
        expect("conv", place, DType::F32)?;
    }
    let o = Operands { moments: Some(moments), ..operands("conv", inputs, output)? };
    let p = Problem::new(window, &o.source.shape, &o.weight.shape, &o.out.shape)?;
    match p.groups {
        1 => lower_channels_last(window, &p, &o, regions, machine),
        // Vectors of channels would reach into the next group's.
        _ => Ok(None),
    }
}

/// Lowers the convolution to a kernel that has the result's channels side by side before it stores
/// them, if one suits.
fn lower_channels_last(
    window: &ConvWindow,
    p: &Problem,
    o: &Operands<'_>,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Option<Box<dyn Native>>, EngineError> {
    let layout = forward_weights(p);
    if winograd::suits(window, p) {
        let filter = Filter::forward(window, p, layout);
        return winograd::lower(filter, p.batch, o, regions, machine).map(Some);
    }
    if pixels::suits(p, machine.1) {
        let sums = Sums::forward(window, p, layout);
        return Ok(Some(Box::new(PixelsKernel::new(sums, p, o, regions, machine)?)));
    }
    Ok(None)
}

/// How the convolution takes its weights.
fn forward_weights(p: &Problem) -> WeightLayout {
    let (group, row) = p.weights();
    WeightLayout { group, row, channel: p.kernel[0] * p.kernel[1] }
}

/// Lowers `(dy, weight) -> dx`.
pub(super) fn lower_input_grad(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    let o = operands("conv_input_grad", inputs, output)?;
    let p = Problem::new(window, &o.out.shape, &o.weight.shape, &o.source.shape)?;
    let (group, channel) = p.weights();
    let layout = WeightLayout { group, row: p.kernel[0] * p.kernel[1], channel };
    if winograd::suits(window, &p) {
        let filter = Filter::input_gradient(window, &p, layout);
        return winograd::lower(filter, p.batch, &o, regions, machine);
    }
    if pixels::suits(&p, machine.1) {
        let sums = Sums::input_gradient(window, &p, layout);
        return Ok(Box::new(PixelsKernel::new(sums, &p, &o, regions, machine)?));
    }
    let passes = passes::input_gradient(window, p.kernel, p.input, p.output);
    let sizes = (p.out_channels, p.in_channels);
    Ok(Box::new(SumsKernel::new(&p, passes, layout, sizes, &o, regions, machine)?))
}

/// Lowers `(x, dy) -> dweight`.
pub(super) fn lower_weight_grad(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    let o = operands("conv_weight_grad", inputs, output)?;
    let p = Problem::new(window, &o.source.shape, &o.out.shape, &o.weight.shape)?;
    if winograd::suits(window, &p) {
        return winograd::lower_weight_grad(&p, window.pad_low, &o, regions, machine);
    }
    if OuterKernel::suits(&p, machine.1) {
        return Ok(Box::new(OuterKernel::new(&p, window, &o, regions, machine)?));
    }
    let passes = passes::forward(window, p.kernel, p.input, p.output);
    Ok(Box::new(WeightGradKernel::new(&p, passes, &o, regions, machine)?))
}
