//! Builder methods: movement of elements.

use onestep_memory::Shape;

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{
    Broadcast, Concat, Detach, DistinctRows, Gather, Op, Pad, Permute, Reshape, ScatterAdd,
    SetRows, Slice,
};

/// Movement.
impl Graph {
    /// The same elements under another shape.
    ///
    /// # Errors
    /// The number of elements differs.
    pub fn reshape(&mut self, x: Value, dims: &[usize]) -> Result<Value, GraphError> {
        if self.shape(x).dims() == dims {
            return Ok(x);
        }
        self.push(Op::Reshape(Reshape { shape: Shape::new(dims)? }), &[x])
    }

    /// `x` as a number that was given: no gradient passes through it. A Metal device refuses it where a
    /// step trains, as it differentiates by itself.
    ///
    /// # Errors
    /// None in practice.
    pub fn detach(&mut self, x: Value) -> Result<Value, GraphError> {
        self.push(Op::Detach(Detach), &[x])
    }

    /// The value of `x` with the gradient of `like`, of the same shape.
    ///
    /// ```
    /// use onestep_engine::{Graph, gradients};
    /// # fn main() -> Result<(), onestep_engine::GraphError> {
    /// let mut g = Graph::new();
    /// let w = g.parameter("w", &[3])?;
    /// let floor = g.floor(w)?;
    /// // Rounded down, with the slope of what is not rounded.
    /// let y = g.straight_through(floor, w)?;
    /// let loss = g.sum_all(y)?;
    /// let grads = gradients(&mut g, loss, &[w])?;
    /// assert_eq!(g.shape(grads[0]).dims(), &[3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The shapes differ.
    pub fn straight_through(&mut self, x: Value, like: Value) -> Result<Value, GraphError> {
        let (value, still) = (self.detach(x)?, self.detach(like)?);
        // Exactly 0, and not part of the value.
        let nothing = self.sub(like, still)?;
        self.add(value, nothing)
    }

    /// Axis `i` of the result is axis `axes[i]` of `x`.
    ///
    /// # Errors
    /// `axes` is not a permutation.
    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Result<Value, GraphError> {
        if axes.len() == self.shape(x).rank() && axes.iter().enumerate().all(|(i, &a)| i == a) {
            return Ok(x);
        }
        self.push(Op::Permute(Permute { axes: axes.to_vec() }), &[x])
    }

    /// Repeats `x` to the given shape by numpy's rule.
    ///
    /// # Errors
    /// The shape does not broadcast.
    pub fn broadcast(&mut self, x: Value, dims: &[usize]) -> Result<Value, GraphError> {
        if self.shape(x).dims() == dims {
            return Ok(x);
        }
        self.push(Op::Broadcast(Broadcast { shape: Shape::new(dims)? }), &[x])
    }

    /// Repeats `x` to the shape of `like`.
    ///
    /// # Errors
    /// The shape does not broadcast.
    pub fn broadcast_like(&mut self, x: Value, like: Value) -> Result<Value, GraphError> {
        let shape = self.shape(like).clone();
        self.broadcast(x, shape.dims())
    }

    /// `start[i]..end[i]` of each axis.
    ///
    /// # Errors
    /// A range outside the operand.
    pub fn slice(&mut self, x: Value, start: &[usize], end: &[usize]) -> Result<Value, GraphError> {
        self.push(Op::Slice(Slice { start: start.to_vec(), end: end.to_vec() }), &[x])
    }

    /// `start..end` of one axis.
    ///
    /// # Errors
    /// A range outside the operand.
    pub fn slice_axis(
        &mut self,
        x: Value,
        axis: usize,
        start: usize,
        end: usize,
    ) -> Result<Value, GraphError> {
        let mut ends = self.shape(x).dims().to_vec();
        let mut starts = vec![0; ends.len()];
        let rank = ends.len();
        let (Some(s), Some(e)) = (starts.get_mut(axis), ends.get_mut(axis)) else {
            return Err(GraphError::attribute("slice", "axis", format!("below {rank}"), axis));
        };
        (*s, *e) = (start, end);
        self.slice(x, &starts, &ends)
    }

    /// The operands side by side along `axis`.
    ///
    /// # Errors
    /// Shapes that differ in another axis.
    pub fn concat(&mut self, operands: &[Value], axis: usize) -> Result<Value, GraphError> {
        match operands {
            [single] => Ok(*single),
            _ => self.push(Op::Concat(Concat { axis }), operands),
        }
    }

    /// A border of `value` around `x`.
    ///
    /// # Errors
    /// The widths are not one for each axis.
    pub fn pad(
        &mut self,
        x: Value,
        low: &[usize],
        high: &[usize],
        value: f32,
    ) -> Result<Value, GraphError> {
        self.push(Op::Pad(Pad { low: low.to_vec(), high: high.to_vec(), value }), &[x])
    }

    /// Rows of `table` by index.
    ///
    /// # Errors
    /// The table is not f32 of rank 1 or more, or the indices are not i32.
    pub fn gather(&mut self, table: Value, indices: Value) -> Result<Value, GraphError> {
        self.push(Op::Gather(Gather), &[table, indices])
    }

    /// Rows added by index into a table of `rows` rows of zeros.
    ///
    /// # Errors
    /// The shape of the updates does not begin with that of the indices.
    pub fn scatter_add(
        &mut self,
        indices: Value,
        updates: Value,
        rows: usize,
    ) -> Result<Value, GraphError> {
        self.push(Op::ScatterAdd(ScatterAdd { rows }), &[indices, updates])
    }

    /// The distinct `indices i32 [n]` of `0..rows`, with 0 behind them; the same with -1 behind them; and the
    /// place of each index among them: three values of `[n]`.
    ///
    /// # Errors
    /// The indices are not i32 of rank 1.
    pub fn distinct_rows(&mut self, indices: Value, rows: usize) -> Result<[Value; 3], GraphError> {
        let count = self.shape(indices).elements();
        let all = self.push(Op::DistinctRows(DistinctRows { rows }), &[indices])?;
        let mut part = |i: usize| self.slice_axis(all, 0, i * count, (i + 1) * count);
        Ok([part(0)?, part(1)?, part(2)?])
    }

    /// `table` with the rows that `indices i32 [n]` name replaced. An index outside changes nothing.
    ///
    /// # Errors
    /// Shapes or dtypes that do not fit.
    pub fn set_rows(
        &mut self,
        table: Value,
        indices: Value,
        updates: Value,
    ) -> Result<Value, GraphError> {
        self.push(Op::SetRows(SetRows), &[table, indices, updates])
    }
}
