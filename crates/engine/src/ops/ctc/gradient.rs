//! The gradient of the classification of strings in the logarithms of the probabilities.

use onestep_memory::Shape;

use super::Ctc;
use super::parts;
use super::strings::{self, CtcSizes, NEVER, said, skips};
use crate::array::{Array, Context};
use crate::autodiff::gradients;
use crate::graph::{Graph, GraphError, Type, Value};
use crate::ops::apart::apart;
use crate::ops::{Gradients, OpRule, Site, expect_dtype, expect_inputs, expect_shape};

/// The gradient of [`Ctc`] in its logarithms, `[b, t, c]`: for each step and class the probability that the string
/// has the class there, times `-dy` (Graves et al., 2006, equation 15). The operands are those of [`Ctc`], its
/// result, and the gradient `[b]` of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CtcGrad {
    /// What it is the gradient of.
    pub of: Ctc,
}

impl OpRule for CtcGrad {
    fn name(&self) -> &'static str {
        "ctc_grad"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let own = self.of.operands();
        expect_inputs(self.name(), inputs, own + 2)?;
        let sizes = CtcSizes::check(&self.of, &inputs[..own])?;
        let lengths = [sizes.batch + sizes.paths(), sizes.batch];
        for (operand, length) in inputs[own..].iter().zip(lengths) {
            expect_dtype(self.name(), operand, onestep_memory::DType::F32)?;
            expect_shape(self.name(), operand, &Shape::new(&[length])?)?;
        }
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        let reason = "second derivatives need sums of exponentials instead of ctc";
        Err(GraphError::NotDifferentiable { op: self.name(), reason })
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let sizes = CtcSizes::of(inputs[0].shape.dims(), inputs[1].shape.dims());
        let mut result = Array::filled(&out.shape, 0.0);
        let &[logs, .., dy] = inputs else { return result };
        for (sample, &dy) in dy.data.iter().enumerate() {
            let string = strings::evaluated(&self.of, inputs, sizes, sample);
            let forward = strings::forward(logs, sizes, sample, &string);
            let loss = strings::loss(&forward, &string);
            let first = sample * sizes.steps * sizes.classes;
            let Some(states) = string.states else {
                let own = first..first + sizes.steps * sizes.classes;
                result.data[own].fill(f64::NAN);
                continue;
            };
            if loss.is_infinite() {
                continue;
            }
            let mut after = ends(states.len());
            for step in (0..string.steps).rev() {
                for (state, &class) in states.iter().enumerate() {
                    let share = (forward[step][state] + after[state] + loss).exp();
                    result.data[first + step * sizes.classes + class] -= share * dy;
                }
                if step > 0 {
                    after = before(logs, [sample, step], &states, &after, self.of.blank);
                }
            }
        }
        result
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        let operands = self.of.operands();
        let gradient = apart(g, inputs, |body, leaves| {
            let packed = parts::forward(&self.of, body, &leaves[..operands])?;
            let dy = leaves[operands + 1];
            let batch = body.shape(dy).elements();
            let losses = body.slice_axis(packed, 0, 0, batch)?;
            let weighted = body.mul(losses, dy)?;
            let loss = body.sum_all(weighted)?;
            Ok(gradients(body, loss, &leaves[..1])?[0])
        })?;
        Ok(Some(gradient))
    }

    fn is_whole(&self) -> bool {
        true
    }
}

/// Behind the last step nothing is to come where a string may end.
fn ends(states: usize) -> Vec<f64> {
    let end = |state| if state + 2 >= states { 0.0 } else { f64::from(NEVER) };
    (0..states).map(end).collect()
}

/// The logarithm of what is to come behind each state a step earlier.
fn before(
    logs: &Array,
    [sample, step]: [usize; 2],
    states: &[usize],
    after: &[f64],
    blank: usize,
) -> Vec<f64> {
    let never = f64::from(NEVER);
    let to = |state: usize| {
        let class = states.get(state).copied();
        class.map_or(never, |class| after[state] + said(logs, sample, step, class))
    };
    let sum = |state: usize| {
        let two = state + 2 < states.len() && skips(states, state + 2, blank);
        strings::log_sum(&[to(state), to(state + 1), if two { to(state + 2) } else { never }])
    };
    (0..states.len()).map(sum).collect()
}
