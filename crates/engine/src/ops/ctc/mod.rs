//! Connectionist temporal classification: a composite with a gradient of its own, so that the sums over all ways
//! to place a string are one pass forward and one back.

mod gradient;
mod parts;
mod strings;

use onestep_memory::Shape;

pub use gradient::CtcGrad;
pub use strings::{CtcSizes, CtcString, NEVER};

use super::{Gradients, Op, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// The negative logarithm of the probability that steps say a string of labels (Graves et al., "Connectionist
/// Temporal Classification", 2006, equations 6 to 8): `(logs f32 [b, t, c], labels i32 [b, l], ...)`. The former are
/// logarithms of probabilities; the latter are padded behind with negative numbers or with `blank`. Where `lengths`
/// is set, a further operand i32 `[b]` says how many steps of each sample count, at least one. A string that is too
/// long for its steps has infinity, with gradient 0; one with a label that is no class has NaN.
///
/// The result is a vector: `[b]` such numbers, and behind them `[b, t, 2 l + 1]` logarithms of what leads to each
/// state of a string at each step, for the gradient, which nothing else reads. The builder method [`Graph::ctc`]
/// cuts the former out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ctc {
    /// The class that stands for no label.
    pub blank: usize,
    /// Whether there are numbers of steps.
    pub lengths: bool,
}

impl Ctc {
    /// How many operands it takes.
    pub(crate) fn operands(&self) -> usize {
        2 + usize::from(self.lengths)
    }
}

impl OpRule for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let sizes = CtcSizes::check(self, inputs)?;
        Ok(Type::f32(Shape::new(&[sizes.batch + sizes.paths()])?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let batch = g.shape(site.inputs[0]).dims()[0];
        let dy = g.slice_axis(grad, 0, 0, batch)?;
        let mut operands = site.inputs.to_vec();
        operands.extend([site.output, dy]);
        let own = g.push(Op::CtcGrad(CtcGrad { of: *self }), &operands)?;
        let mut gradients: Gradients = vec![None; site.inputs.len()];
        gradients[0] = Some(own);
        Ok(gradients)
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let sizes = CtcSizes::of(inputs[0].shape.dims(), inputs[1].shape.dims());
        let mut result = Array::filled(&out.shape, 0.0);
        for sample in 0..sizes.batch {
            let string = strings::evaluated(self, inputs, sizes, sample);
            let forward = strings::forward(inputs[0], sizes, sample, &string);
            result.data[sample] = strings::loss(&forward, &string);
            for (step, row) in forward.iter().enumerate() {
                let at = sizes.path_at(sample, step);
                result.data[at..at + row.len()].copy_from_slice(row);
            }
        }
        result
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        parts::forward(self, g, inputs).map(Some)
    }

    fn is_whole(&self) -> bool {
        true
    }
}
