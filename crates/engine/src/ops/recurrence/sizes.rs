//! The dimensions of a recurrence, and where its numbers lie.

use onestep_memory::DType;

use super::{Cell, Recurrence};
use crate::graph::{GraphError, Type};
use crate::ops::{expect_dtype, expect_inputs, expect_rank};

const NAME: &str = "recurrence";

/// The dimensions of a recurrence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecurrenceSizes {
    /// Samples.
    pub batch: usize,
    /// Steps of a sample.
    pub steps: usize,
    /// Numbers of a gate.
    pub hidden: usize,
    /// Numbers of an output: fewer than `hidden` behind a projection, else as many.
    pub out: usize,
    /// Numbers of an input product: those of all gates.
    pub wide: usize,
}

/// Where the parts of the result of [`Recurrence`] begin, and the length of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrenceParts {
    /// The last outputs `[b, out]`. The outputs `[b, t, out]` are at 0.
    pub last: usize,
    /// The last cells `[b, hidden]` of an LSTM.
    pub cell: usize,
    /// What is projected, `[b, t, hidden]`, where it is.
    pub unprojected: usize,
    /// What a kernel keeps for the gradient, `[b, t, kept]`.
    pub kept: usize,
    /// The length of all.
    pub end: usize,
}

/// Where the parts of the result of [`super::RecurrenceGrad`] begin, and the length of all. The gradient in the
/// input products `[b, t, wide]` is at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrenceGradParts {
    /// In the first outputs `[b, out]`.
    pub first: usize,
    /// In the first cells `[b, hidden]` of an LSTM.
    pub cell: usize,
    /// In the recurrent products of a GRU's new gate, `[b, t, hidden]`.
    pub new: usize,
    /// In what the projection gives, `[b, t, out]`.
    pub projected: usize,
    /// The length of all.
    pub end: usize,
}

impl RecurrenceSizes {
    /// From the dimensions of input products and recurrent weights, which fit; all 0 where they do not.
    pub fn of<'a>(op: &Recurrence, mut operands: impl Iterator<Item = &'a [usize]>) -> Self {
        match (operands.next(), operands.next()) {
            (Some(&[batch, steps, wide]), Some(&[out, _])) => {
                RecurrenceSizes { batch, steps, hidden: wide / op.cell.gates(), out, wide }
            }
            _ => RecurrenceSizes::default(),
        }
    }

    /// From operands, or why they do not fit.
    pub(super) fn check(op: &Recurrence, inputs: &[Type]) -> Result<Self, GraphError> {
        expect_inputs(NAME, inputs, op.operands())?;
        expect_rank(NAME, &inputs[0], 3)?;
        expect_rank(NAME, &inputs[1], 2)?;
        let sizes = RecurrenceSizes::of(op, inputs.iter().map(|ty| ty.shape.dims()));
        let RecurrenceSizes { batch, steps, hidden, out, wide } = sizes;
        if steps == 0 || hidden == 0 || !wide.is_multiple_of(op.cell.gates()) {
            let wanted = format!("[batch, steps, {} x hidden], none of them 0", op.cell.gates());
            return Err(GraphError::shape(NAME, wanted, &inputs[0]));
        }
        if op.projection && op.cell != Cell::Lstm {
            return Err(GraphError::attribute(NAME, "projection", "of an LSTM alone", op.cell));
        }
        let mut wanted = vec![vec![batch, steps, wide], vec![out, wide], vec![batch, out]];
        wanted.extend((op.cell == Cell::Lstm).then(|| vec![batch, hidden]));
        wanted.extend(op.bias.then(|| vec![op.cell.biases() * hidden]));
        wanted.extend(op.projection.then(|| vec![hidden, out]));
        if !op.projection {
            wanted[1][0] = hidden;
            wanted[2][1] = hidden;
        }
        for (operand, wanted) in inputs.iter().zip(&wanted) {
            expect_dtype(NAME, operand, DType::F32)?;
            if operand.shape.dims() != wanted {
                return Err(GraphError::shape(NAME, format!("{wanted:?}"), operand));
            }
        }
        if let Some(at) = op.at().lengths {
            expect_dtype(NAME, &inputs[at], DType::I32)?;
            if inputs[at].shape.dims() != [batch] {
                return Err(GraphError::shape(NAME, format!("lengths of [{batch}]"), &inputs[at]));
            }
        }
        Ok(sizes)
    }

    /// Numbers of `width` each at each step of each sample.
    fn each(self, width: usize) -> usize {
        self.batch * self.steps * width
    }

    /// Numbers that a kernel keeps for a step: an LSTM its gates and its cell, a GRU its gates and the recurrent
    /// product of the new one.
    pub fn kept(self, op: &Recurrence) -> usize {
        match op.cell {
            Cell::Tanh | Cell::Relu => 0,
            Cell::Lstm => 5 * self.hidden,
            Cell::Gru => 4 * self.hidden,
        }
    }

    /// Where the parts of the result lie.
    pub fn parts(self, op: &Recurrence) -> RecurrenceParts {
        let last = self.each(self.out);
        let cell = last + self.batch * self.out;
        let unprojected = cell + self.cells(op);
        let kept = unprojected + if op.projection { self.each(self.hidden) } else { 0 };
        RecurrenceParts { last, cell, unprojected, kept, end: kept + self.each(self.kept(op)) }
    }

    /// Where the parts of the gradient's result lie.
    pub fn grad_parts(self, op: &Recurrence) -> RecurrenceGradParts {
        let first = self.each(self.wide);
        let cell = first + self.batch * self.out;
        let new = cell + self.cells(op);
        let projected = new + if op.cell == Cell::Gru { self.each(self.hidden) } else { 0 };
        let end = projected + if op.projection { self.each(self.out) } else { 0 };
        RecurrenceGradParts { first, cell, new, projected, end }
    }

    /// Numbers of an LSTM's cells.
    fn cells(self, op: &Recurrence) -> usize {
        if op.cell == Cell::Lstm { self.batch * self.hidden } else { 0 }
    }
}
