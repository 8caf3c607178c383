//! Recurrent cells over all steps of a sequence: a composite with a gradient of its own, so that all steps are
//! one kernel.

mod gradient;
mod sizes;
#[cfg(test)]
mod tests;
mod unrolled;

use std::fmt;

use onestep_memory::Shape;

pub use gradient::RecurrenceGrad;
pub use sizes::{RecurrenceGradParts, RecurrenceParts, RecurrenceSizes};

use self::unrolled::Unrolled;
use super::{Gradients, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// What a cell does in a step with its input product `x` and its state `h`, `W` being the recurrent weights. These
/// are PyTorch's equations, whose gates stand in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = tanh(x + h W + b)` (Elman, "Finding Structure in Time", 1990).
    Tanh,
    /// The same with a rectified linear unit.
    Relu,
    /// Gates `i, f, g, o` of `x + h W + b`: `c' = σ(f) c + σ(i) tanh(g)`, `h' = σ(o) tanh(c')` (Hochreiter and
    /// Schmidhuber, "Long Short-Term Memory", 1997; with the forget gate of Gers et al., 2000).
    Lstm,
    /// Gates `r, z, n`: `n = tanh(x_n + b_n + σ(r) (h W_n + b_h))`, `h' = n + σ(z) (h - n)` (Cho et al., 2014; the
    /// reset gate behind the product). The bias is `b_r, b_z, b_n, b_h`.
    Gru,
}

impl Cell {
    /// Gates of an input product.
    pub fn gates(self) -> usize {
        match self {
            Cell::Tanh | Cell::Relu => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }

    /// How many times the hidden size its bias is.
    pub fn biases(self) -> usize {
        if self == Cell::Gru { 4 } else { self.gates() }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cell::Tanh => "tanh",
            Cell::Relu => "relu",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        })
    }
}

/// A cell over the steps of a sequence: the input products `[b, t, gates x hidden]`, the recurrent weights
/// `[out, gates x hidden]`, the first outputs `[b, out]`, the first cells `[b, hidden]` of an LSTM, and where their
/// attributes are set the bias, the projection `[hidden, out]` of an LSTM (Sak et al., 2014) and the lengths i32
/// `[b]`. Past its length a sample's outputs are 0 and its state stays.
///
/// The result is a vector: see [`RecurrenceParts`]. The builder method [`Graph::recurrence`] cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recurrence {
    /// What is done in a step.
    pub cell: Cell,
    /// From the last step to the first; from a sample's own last step where there are lengths.
    pub reverse: bool,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether there is a projection.
    pub projection: bool,
    /// Whether there are lengths.
    pub lengths: bool,
}

/// The positions of operands that need not be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecurrenceOperands {
    /// The first cells.
    pub cell: Option<usize>,
    /// The bias.
    pub bias: Option<usize>,
    /// The projection.
    pub projection: Option<usize>,
    /// The lengths.
    pub lengths: Option<usize>,
}

impl Recurrence {
    /// Where the operands behind input products, weights and first outputs are.
    pub fn at(&self) -> RecurrenceOperands {
        let mut next = 3;
        let mut take = |has: bool| {
            let at = has.then_some(next);
            next += usize::from(has);
            at
        };
        RecurrenceOperands {
            cell: take(self.cell == Cell::Lstm),
            bias: take(self.bias),
            projection: take(self.projection),
            lengths: take(self.lengths),
        }
    }

    /// How many operands it takes.
    pub fn operands(&self) -> usize {
        let more = [self.cell == Cell::Lstm, self.bias, self.projection, self.lengths];
        3 + more.into_iter().filter(|&has| has).count()
    }
}

impl OpRule for Recurrence {
    fn name(&self) -> &'static str {
        "recurrence"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        let sizes = RecurrenceSizes::check(self, inputs)?;
        Ok(Type::f32(Shape::new(&[sizes.parts(self).end])?))
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        gradient::rule(self, g, site, grad)
    }

    fn evaluate(&self, context: &Context, inputs: &[&Array], out: &Type) -> Array {
        unrolled::evaluate(inputs, context, out, |graph, leaves| {
            Unrolled::build(self, graph, leaves)?.packed(self, graph)
        })
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        Unrolled::build(self, g, inputs)?.packed(self, g).map(Some)
    }

    fn is_whole(&self) -> bool {
        true
    }
}
