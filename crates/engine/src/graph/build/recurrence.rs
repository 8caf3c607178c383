//! Recurrent cells.

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{Cell, Op, Recurrence, RecurrenceSizes};

/// What [`Graph::recurrence`] does beside its cell. By default it goes forwards, without a bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecurrenceOptions {
    /// From the last step to the first.
    pub reverse: bool,
    /// f32 `[gates x hidden]`, added to the products; of a GRU `[4 x hidden]`: those of `r`, `z`, `n`, and of the
    /// recurrent product of `n`.
    pub bias: Option<Value>,
    /// f32 `[hidden, out]`: what an LSTM gives is multiplied with it.
    pub projection: Option<Value>,
    /// i32 `[b]`: how many steps each sample has. Behind them its outputs are 0 and its state stays.
    pub lengths: Option<Value>,
}

/// What a recurrence gives.
#[derive(Clone, Copy, Debug)]
pub struct Recurred {
    /// The outputs of all steps, `[b, t, out]`.
    pub outputs: Value,
    /// That of the last step, `[b, out]`.
    pub last: Value,
    /// The last cells of an LSTM, `[b, hidden]`.
    pub cell: Option<Value>,
}

impl Graph {
    /// A cell over the steps of a sequence: input products `x [b, t, gates x hidden]`, recurrent weights
    /// `[out, gates x hidden]`, and the state before the first step, `h [b, out]` and for an LSTM `c [b, hidden]`.
    ///
    /// ```
    /// use onestep_engine::ops::Cell;
    /// use onestep_engine::{DType, Graph, RecurrenceOptions};
    /// # fn main() -> Result<(), onestep_engine::GraphError> {
    /// let mut g = Graph::new();
    /// let x = g.input("products", &[2, 5, 12], DType::F32)?;
    /// let w = g.parameter("weight", &[4, 12])?;
    /// let h = g.input("first", &[2, 4], DType::F32)?;
    /// let y = g.recurrence(Cell::Gru, x, w, (h, None), RecurrenceOptions::default())?;
    /// assert_eq!(g.shape(y.outputs).dims(), &[2, 5, 4]);
    /// assert_eq!(g.shape(y.last).dims(), &[2, 4]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes that do not fit; first cells of another cell than an LSTM's, or none of that.
    pub fn recurrence(
        &mut self,
        cell: Cell,
        x: Value,
        weight: Value,
        (h, c): (Value, Option<Value>),
        options: RecurrenceOptions,
    ) -> Result<Recurred, GraphError> {
        let RecurrenceOptions { reverse, bias, projection, lengths } = options;
        if c.is_some() != (cell == Cell::Lstm) {
            let wanted = "first cells for an LSTM, and for nothing else";
            return Err(GraphError::shape("recurrence", wanted, cell));
        }
        let op = Recurrence {
            cell,
            reverse,
            bias: bias.is_some(),
            projection: projection.is_some(),
            lengths: lengths.is_some(),
        };
        let mut operands = vec![x, weight, h];
        operands.extend([c, bias, projection, lengths].into_iter().flatten());
        let packed = self.push(Op::Recurrence(op), &operands)?;
        let dims = [x, weight].map(|x| self.shape(x).clone());
        let sizes = RecurrenceSizes::of(&op, dims.iter().map(|shape| shape.dims()));
        let RecurrenceSizes { batch, steps, hidden, out, .. } = sizes;
        let parts = sizes.parts(&op);
        let outputs = self.slice_axis(packed, 0, 0, parts.last)?;
        let outputs = self.reshape(outputs, &[batch, steps, out])?;
        let last = self.slice_axis(packed, 0, parts.last, parts.cell)?;
        let last = self.reshape(last, &[batch, out])?;
        let cell = match cell {
            Cell::Lstm => {
                let cells = self.slice_axis(packed, 0, parts.cell, parts.unprojected)?;
                Some(self.reshape(cells, &[batch, hidden])?)
            }
            _ => None,
        };
        Ok(Recurred { outputs, last, cell })
    }
}
