//! Convolutions and their gradients without copies of windows. Which way one goes says [`way`]; here is what
//! each way is for each of the three ops.

mod classes;
mod geometry;
mod grid;
mod moments;
mod outer;
mod passes;
mod pixels;
mod planes;
mod problem;
mod sums;
mod way;
mod weight_grad;
mod window_pixels;
mod winograd;

use onestep_engine::EngineError;
use onestep_engine::ops::{ConvWindow, Op};
use onestep_engine::plan::Place;

use self::classes::Sums;
use self::outer::OuterKernel;
use self::pixels::PixelsKernel;
use self::problem::{Operands, Problem};
use self::sums::SumsKernel;
use self::way::{Direction, Way, way};
use self::weight_grad::WeightGradKernel;
use self::winograd::Filter;
use crate::cpu_kernel::{CpuKernel, Regions};
use crate::machine::Machine;

/// Lowers `(x, weight) -> y`, with the moments of `y` where they are asked for: the mean of each channel, and
/// the mean of its squared deviations from it. `None` where the way that the convolution goes cannot take
/// them.
pub(super) fn lower(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    moments: Option<[&Place; 2]>,
    regions: Regions,
    machine: Machine,
) -> Result<Option<Box<dyn CpuKernel>>, EngineError> {
    let mut o = Operands::new("conv", inputs, output)?;
    let p = Problem::new(window, &o.source.shape, &o.weight.shape, &o.out.shape)?;
    let way = way(Direction::Forward, window, &p, machine);
    if let Some(moments) = moments {
        o = o.with_moments(moments)?;
        if !way.takes_moments(&p) {
            return Ok(None);
        }
    }
    let layout = p.forward_weights();
    Ok(Some(match way {
        Way::Winograd { tiles, blocks } => {
            let filter = Filter::forward(window, &p, layout);
            winograd::lower(filter, (tiles, blocks), p.batch, &o, regions, machine)?
        }
        Way::Pixels => {
            let sums = Sums::forward(window, &p, layout);
            Box::new(PixelsKernel::new(sums, &p, &o, regions, machine)?)
        }
        Way::Outer | Way::Planes => {
            let passes = passes::forward(window, p.kernel, p.input, p.output);
            let sizes = (p.in_channels, p.out_channels);
            Box::new(SumsKernel::new(&p, passes, layout, sizes, &o, regions, machine)?)
        }
    }))
}

/// Lowers `(dy, weight) -> dx`.
pub(super) fn lower_input_grad(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let o = Operands::new("conv_input_grad", inputs, output)?;
    let p = Problem::new(window, &o.out.shape, &o.weight.shape, &o.source.shape)?;
    let layout = p.input_gradient_weights();
    Ok(match way(Direction::InputGradient, window, &p, machine) {
        Way::Winograd { tiles, blocks } => {
            let filter = Filter::input_gradient(window, &p, layout);
            winograd::lower(filter, (tiles, blocks), p.batch, &o, regions, machine)?
        }
        Way::Pixels => {
            let sums = Sums::input_gradient(window, &p, layout);
            Box::new(PixelsKernel::new(sums, &p, &o, regions, machine)?)
        }
        Way::Outer | Way::Planes => {
            let passes = passes::input_gradient(window, p.kernel, p.input, p.output);
            let sizes = (p.out_channels, p.in_channels);
            Box::new(SumsKernel::new(&p, passes, layout, sizes, &o, regions, machine)?)
        }
    })
}

/// Lowers `(x, dy) -> dweight`.
pub(super) fn lower_weight_grad(
    window: &ConvWindow,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
    machine: Machine,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let o = Operands::new("conv_weight_grad", inputs, output)?;
    let p = Problem::new(window, &o.source.shape, &o.out.shape, &o.weight.shape)?;
    Ok(match way(Direction::WeightGradient, window, &p, machine) {
        Way::Winograd { tiles, blocks } => {
            let pad = window.pad_low;
            winograd::lower_weight_grad(&p, (tiles, blocks), pad, &o, regions, machine)?
        }
        Way::Outer => Box::new(OuterKernel::new(&p, window, &o, regions, machine)?),
        Way::Pixels | Way::Planes => {
            let passes = passes::forward(window, p.kernel, p.input, p.output);
            Box::new(WeightGradKernel::new(&p, passes, &o, regions, machine)?)
        }
    })
}

/// The way of a convolution or of one of its gradients, for profiles; `None` for what is neither.
pub(super) fn name_of_way(
    op: &Op,
    inputs: &[Place],
    output: &Place,
    machine: Machine,
) -> Option<&'static str> {
    let [a, b] = inputs else { return None };
    let (direction, window, [x, w, y]) = match op {
        Op::Conv(op) => (Direction::Forward, op.window, [a, b, output]),
        Op::ConvInputGrad(op) => (Direction::InputGradient, op.window, [output, b, a]),
        Op::ConvWeightGrad(op) => (Direction::WeightGradient, op.window, [a, output, b]),
        _ => return None,
    };
    let problem = Problem::new(&window, &x.shape, &w.shape, &y.shape).ok()?;
    Some(way(direction, &window, &problem, machine).name())
}
