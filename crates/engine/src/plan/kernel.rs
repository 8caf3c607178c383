//! Kernels: what an executor runs one after the other.
//!
//! A composite is kernels that belong together under one name, so that an executor may do them as one.
//! [`Composite::parts`] says what it is made of, for one that cannot.

use onestep_memory::MAX_RANK;

use super::code::{Fused, FusedOutput, Instruction};
use super::place::Place;
use crate::graph::Phase;
use crate::ops::{Binary, Conv, ConvInputGrad, ConvWeightGrad, ConvWindow, Op, ReduceKind};

/// What a kernel does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A fused elementwise program.
    Fused(Fused),
    /// One op that is no elementwise function. Operands are contiguous but for those of a matrix
    /// product, which may have any strides; the result is contiguous.
    Op {
        /// The op.
        op: Op,
        /// Where its operands lie.
        inputs: Vec<Place>,
        /// Where its result goes.
        output: Place,
    },
    /// Several of those under one name, for an executor that can do them as one.
    Composite(Composite),
}

/// One kernel of a plan. A result may lie exactly on an operand of a fused kernel; otherwise
/// results and operands do not overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// What it does.
    pub work: Work,
    /// The layer or op it comes from, for dumps and profiles.
    pub label: String,
    /// The part of the step that it belongs to: the last of those of its nodes.
    pub phase: Phase,
}

impl Kernel {
    /// The places it reads.
    pub fn reads(&self) -> Vec<&Place> {
        match &self.work {
            Work::Fused(fused) => fused
                .code
                .iter()
                .filter_map(|i| match i {
                    Instruction::Load(place) => Some(place),
                    _ => None,
                })
                .collect(),
            Work::Op { inputs, .. } => inputs.iter().collect(),
            Work::Composite(composite) => composite.reads(),
        }
    }

    /// The places it writes.
    pub fn writes(&self) -> Vec<&Place> {
        match &self.work {
            Work::Fused(fused) => fused.outputs.iter().map(|o| &o.place).collect(),
            Work::Op { output, .. } => vec![output],
            Work::Composite(composite) => composite.writes(),
        }
    }
}

/// Work with a name that is made of other work.
#[derive(Clone, Debug, PartialEq)]
pub enum Composite {
    /// A convolution with the moments of its result.
    ConvMoments(Box<ConvMoments>),
    /// Both gradients of a convolution.
    ConvGradients(Box<ConvGradients>),
}

/// A convolution whose result is normalised over the batch, with the moments of each of its channels, which
/// can be taken while it is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvMoments {
    /// The convolution.
    pub window: ConvWindow,
    /// Its input `[n, c, h, w]` and its weight.
    pub inputs: [Place; 2],
    /// Its result `[n, o, p, q]`.
    pub output: Place,
    /// Where the mean of each channel goes: `[1, o, 1, 1]`.
    pub mean: Place,
    /// Where the mean of the squared deviations from it goes: `[1, o, 1, 1]`.
    pub deviations: Place,
}

/// The gradients of a convolution in its input and in its weight, which need the same `dy` and not each
/// other.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvGradients {
    /// The convolution.
    pub window: ConvWindow,
    /// Its input and its weight.
    pub inputs: [Place; 2],
    /// The gradient of its result.
    pub dy: Place,
    /// Where the gradient in the input goes.
    pub dx: Place,
    /// Where the gradient in the weight goes.
    pub dw: Place,
}

impl Composite {
    /// What profiles call it: the kinds of its parts.
    pub fn name(&self) -> &'static str {
        match self {
            Composite::ConvMoments(_) => "conv + reduction",
            Composite::ConvGradients(_) => "conv_input_grad + conv_weight_grad",
        }
    }

    /// The decomposition: what to do one after the other.
    pub fn parts(&self) -> Vec<Work> {
        match self {
            Composite::ConvMoments(work) => work.parts(),
            Composite::ConvGradients(work) => work.parts().into(),
        }
    }

    /// What it reads and does not itself compute.
    pub(super) fn reads(&self) -> Vec<&Place> {
        match self {
            Composite::ConvMoments(work) => work.inputs.iter().collect(),
            Composite::ConvGradients(work) => {
                let [x, w] = &work.inputs;
                vec![&work.dy, w, x, &work.dy]
            }
        }
    }

    pub(super) fn writes(&self) -> Vec<&Place> {
        match self {
            Composite::ConvMoments(work) => vec![&work.output, &work.mean, &work.deviations],
            Composite::ConvGradients(work) => vec![&work.dx, &work.dw],
        }
    }
}

impl ConvMoments {
    /// The convolution, the mean, and the deviations.
    pub fn parts(&self) -> Vec<Work> {
        let op = Op::Conv(Conv { window: self.window });
        let convolution =
            Work::Op { op, inputs: self.inputs.to_vec(), output: self.output.clone() };
        let output =
            FusedOutput { register: 0, place: self.mean.clone(), reduce: Some(ReduceKind::Mean) };
        let mean = Fused {
            domain: self.output.shape.clone(),
            code: vec![Instruction::Load(self.output.clone())],
            outputs: vec![output],
        };
        let deviations =
            squared_deviations(self.output.clone(), &self.mean, self.deviations.clone());
        vec![convolution, Work::Fused(mean), Work::Fused(deviations)]
    }
}

impl ConvGradients {
    /// The gradient in the input, and that in the weight.
    pub fn parts(&self) -> [Work; 2] {
        let ([x, w], window) = (self.inputs.clone(), self.window);
        let input = ConvInputGrad { window, input_shape: x.shape.clone() };
        let weight = ConvWeightGrad { window, weight_shape: w.shape.clone() };
        [
            Work::Op {
                op: Op::ConvInputGrad(input),
                inputs: vec![self.dy.clone(), w],
                output: self.dx.clone(),
            },
            Work::Op {
                op: Op::ConvWeightGrad(weight),
                inputs: vec![x, self.dy.clone()],
                output: self.dw.clone(),
            },
        ]
    }
}

/// The mean of `(x - centre)²` over the axes where `output` has 1, as a fused program.
pub(super) fn squared_deviations(x: Place, centre: &Place, output: Place) -> Fused {
    let mut strides = [0; MAX_RANK];
    for (axis, stride) in strides.iter_mut().enumerate().take(centre.shape.rank()) {
        *stride = if centre.shape.dims()[axis] == 1 { 0 } else { centre.strides[axis] };
    }
    let domain = x.shape.clone();
    let spread = Place { shape: domain.clone(), strides, ..centre.clone() };
    let code = vec![
        Instruction::Load(x),
        Instruction::Load(spread),
        Instruction::Binary(Binary::Sub, 0, 1),
        Instruction::Binary(Binary::Mul, 2, 2),
    ];
    let output = FusedOutput { register: 3, place: output, reduce: Some(ReduceKind::Mean) };
    Fused { domain, code, outputs: vec![output] }
}
