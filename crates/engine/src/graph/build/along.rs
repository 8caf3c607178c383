//! Picking, sorting and summing along one axis.

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{ArgSort, CumSum, GatherAlong, Op, ScatterAlong};

impl Graph {
    /// Along an axis, the elements of `x` that `indices` name; all other axes are equal
    /// (PyTorch's `take_along_dim`). An index outside the axis gives NaN.
    ///
    /// # Errors
    /// There is no such axis, the shapes differ in another, or the indices are not i32.
    pub fn gather_along(
        &mut self,
        x: Value,
        indices: Value,
        axis: usize,
    ) -> Result<Value, GraphError> {
        self.push(Op::GatherAlong(GatherAlong { axis }), &[x, indices])
    }

    /// Along an axis of `size`, updates added to zeros at the places that `indices` name: the gradient
    /// of [`Graph::gather_along`]. Updates with an index outside are dropped.
    ///
    /// # Errors
    /// There is no such axis, the shapes differ, or the indices are not i32.
    pub fn scatter_along(
        &mut self,
        indices: Value,
        updates: Value,
        axis: usize,
        size: usize,
    ) -> Result<Value, GraphError> {
        self.push(Op::ScatterAlong(ScatterAlong { axis, size }), &[indices, updates])
    }

    /// Running sums along an axis, from its start or, reversed, from its end.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn cumsum(&mut self, x: Value, axis: usize, reverse: bool) -> Result<Value, GraphError> {
        self.push(Op::CumSum(CumSum { axis, reverse }), &[x])
    }

    /// The places (i32) of the elements along an axis in ascending or descending order. Equal elements
    /// stay in order, and NaN counts as larger than all numbers.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn argsort(
        &mut self,
        x: Value,
        axis: usize,
        descending: bool,
    ) -> Result<Value, GraphError> {
        let rank = self.shape(x).rank();
        if axis >= rank {
            let wanted = format!("an axis of {}", self.type_of(x));
            return Err(GraphError::attribute("argsort", "axis", wanted, axis));
        }
        let op = Op::ArgSort(ArgSort { descending });
        if axis + 1 == rank {
            return self.push(op, &[x]);
        }
        // The axis and the last change places, which undoes itself.
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(axis, rank - 1);
        let rows = self.permute(x, &axes)?;
        let places = self.push(op, &[rows])?;
        self.permute(places, &axes)
    }

    /// The elements along an axis in ascending or descending order, and their places as
    /// [`Graph::argsort`] gives them. The gradient goes back to where each came from.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn sort(
        &mut self,
        x: Value,
        axis: usize,
        descending: bool,
    ) -> Result<(Value, Value), GraphError> {
        let places = self.argsort(x, axis, descending)?;
        Ok((self.gather_along(x, places, axis)?, places))
    }

    /// The `k` largest elements along an axis, the largest first, and their places. Of equal elements
    /// the first ones are taken.
    ///
    /// # Errors
    /// There is no such axis, or it is shorter than `k`.
    pub fn top_k(&mut self, x: Value, axis: usize, k: usize) -> Result<(Value, Value), GraphError> {
        let places = self.argsort(x, axis, true)?;
        let size = self.shape(x)[axis];
        if k > size {
            let wanted = format!("at most {size}, the size of axis {axis}");
            return Err(GraphError::attribute("top_k", "k", wanted, k));
        }
        let places = self.slice_axis(places, axis, 0, k)?;
        Ok((self.gather_along(x, places, axis)?, places))
    }
}
