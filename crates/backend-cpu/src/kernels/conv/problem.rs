//! What a convolution is: its sizes and its operands.

use onestep_engine::ops::ConvWindow;
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError, Shape};

use crate::cpu_kernel::{broken, expect};

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Channels of a group.
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel: [usize; 2],
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
}

impl Problem {
    pub(super) fn new(
        window: &ConvWindow,
        x: &Shape,
        w: &Shape,
        y: &Shape,
    ) -> Result<Problem, EngineError> {
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
    pub(super) fn weights(&self) -> (usize, usize) {
        let channel = self.in_channels * self.kernel[0] * self.kernel[1];
        (self.out_channels * channel, channel)
    }

    /// How the convolution takes its weights: a row for each output channel.
    pub(super) fn forward_weights(&self) -> WeightLayout {
        let (group, row) = self.weights();
        WeightLayout { group, row, channel: self.kernel[0] * self.kernel[1] }
    }

    /// How the gradient in the input takes them: a row for each input channel.
    pub(super) fn input_gradient_weights(&self) -> WeightLayout {
        let (group, channel) = self.weights();
        WeightLayout { group, row: self.kernel[0] * self.kernel[1], channel }
    }
}

/// Where the weight of (row, channel, kernel element) lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightLayout {
    pub(super) group: usize,
    pub(super) row: usize,
    pub(super) channel: usize,
}

/// The places of a convolution or of one of its gradients: two f32 operands and an f32 result.
pub(super) struct Operands<'a> {
    pub(super) source: &'a Place,
    pub(super) weight: &'a Place,
    pub(super) out: &'a Place,
    /// Where the mean of each channel of the result goes, and the mean of its squared deviations
    /// from it, if they are asked for.
    pub(super) moments: Option<[&'a Place; 2]>,
}

impl<'a> Operands<'a> {
    pub(super) fn new(
        op: &str,
        inputs: &'a [Place],
        out: &'a Place,
    ) -> Result<Operands<'a>, EngineError> {
        let [source, weight] = inputs else {
            return Err(broken(format!("{op} needs two operands")));
        };
        for place in [source, weight, out] {
            expect(op, place, DType::F32)?;
        }
        Ok(Operands { source, weight, out, moments: None })
    }

    /// The same with the moments of the result.
    pub(super) fn with_moments(self, moments: [&'a Place; 2]) -> Result<Self, EngineError> {
        for place in moments {
            expect("the moments of conv", place, DType::F32)?;
        }
        Ok(Operands { moments: Some(moments), ..self })
    }
}
