//! Which pixels of the source each output of a convolution, or of the gradient in its input, takes.
//!
//! The gradient in the input of a stride of `s` falls into `s * s` classes of pixels, each of which
//! takes other elements of the window.

use onestep_engine::ops::ConvWindow;

use super::grid::OUTSIDE;
use super::problem::{Problem, WeightLayout};

/// Outputs that take the same elements of the window.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// Their places in a picture.
    pub(super) outputs: Vec<usize>,
    pub(super) elements: Vec<usize>,
    /// For each output and element, the source's pixel, or [`OUTSIDE`].
    pub(super) places: Vec<usize>,
}

/// What is summed.
pub(super) struct Sums {
    pub(super) classes: Vec<Class>,
    /// Elements of the window.
    pub(super) elements: usize,
    /// Summed channels and result channels of a group.
    pub(super) channels: usize,
    pub(super) rows: usize,
    pub(super) source: [usize; 2],
    pub(super) out: [usize; 2],
    pub(super) weights: WeightLayout,
}

impl Sums {
    /// The convolution.
    pub(super) fn forward(window: &ConvWindow, p: &Problem, weights: WeightLayout) -> Sums {
        let place = |axis: usize, output: usize, element: usize| {
            let at = output * window.stride[axis] + element * window.dilation[axis];
            at.checked_sub(window.pad_low[axis]).filter(|&at| at < p.input[axis])
        };
        let elements = (0..p.kernel[0] * p.kernel[1]).collect();
        let outputs = (0..p.output[0] * p.output[1]).collect();
        let classes =
            vec![Class::new(outputs, elements, p.kernel[1], p.output[1], p.input[1], place)];
        let (channels, rows) = (p.in_channels, p.out_channels);
        Sums {
            classes,
            elements: p.kernel[0] * p.kernel[1],
            channels,
            rows,
            source: p.input,
            out: p.output,
            weights,
        }
    }

    /// The gradient in the input.
    pub(super) fn input_gradient(window: &ConvWindow, p: &Problem, weights: WeightLayout) -> Sums {
        let ConvWindow { stride, dilation, pad_low, .. } = *window;
        let reaches = |axis: usize, phase: usize, element: usize| {
            // `dilation * element` is congruent to `phase + pad`.
            (phase + pad_low[axis] + element * dilation[axis] * (stride[axis] - 1))
                .is_multiple_of(stride[axis])
        };
        let place = |axis: usize, pixel: usize, element: usize| {
            let at = (pixel + pad_low[axis]).checked_sub(element * dilation[axis])?;
            Some(at / stride[axis]).filter(|&at| at < p.output[axis])
        };
        let mut classes = Vec::new();
        for row in 0..stride[0].min(p.input[0]) {
            for column in 0..stride[1].min(p.input[1]) {
                let elements = (0..p.kernel[0] * p.kernel[1]).filter(|e| {
                    let (y, x) = (e / p.kernel[1], e % p.kernel[1]);
                    reaches(0, row, y) && reaches(1, column, x)
                });
                let rows = (row..p.input[0]).step_by(stride[0]);
                let pixels = rows.flat_map(|y| {
                    (column..p.input[1]).step_by(stride[1]).map(move |x| y * p.input[1] + x)
                });
                let (pixels, elements) = (pixels.collect(), elements.collect());
                classes.push(Class::new(
                    pixels,
                    elements,
                    p.kernel[1],
                    p.input[1],
                    p.output[1],
                    place,
                ));
            }
        }
        let (channels, rows) = (p.out_channels, p.in_channels);
        Sums {
            classes,
            elements: p.kernel[0] * p.kernel[1],
            channels,
            rows,
            source: p.output,
            out: p.input,
            weights,
        }
    }
}

impl Class {
    /// `place` tells, along an axis, where an element of an output's window lies in the source.
    fn new(
        outputs: Vec<usize>,
        elements: Vec<usize>,
        kernel_width: usize,
        out_width: usize,
        source_width: usize,
        place: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Class {
        let mut places = Vec::with_capacity(outputs.len() * elements.len());
        for output in &outputs {
            for element in &elements {
                let row = place(0, output / out_width, element / kernel_width);
                let column = place(1, output % out_width, element % kernel_width);
                let at = row.zip(column).map(|(y, x)| y * source_width + x);
                places.push(at.unwrap_or(OUTSIDE));
            }
        }
        Class { outputs, elements, places }
    }
}
