//! Builder methods: reductions.

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{ArgMax, Op, Reduce, ReduceKind, Variance};

/// Reductions.
impl Graph {
    fn reduce(
        &mut self,
        kind: ReduceKind,
        x: Value,
        axes: &[usize],
        keep: bool,
    ) -> Result<Value, GraphError> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Ok(x);
        }
        let reduced = self.push(Op::Reduce(Reduce { kind, axes: sorted.clone() }), &[x])?;
        if keep {
            return Ok(reduced);
        }
        let dims = self.shape(x).dims();
        let kept: Vec<usize> =
            (0..dims.len()).filter(|axis| !sorted.contains(axis)).map(|axis| dims[axis]).collect();
        self.reshape(reduced, &kept)
    }

    /// The sum over `axes`, which stay as 1 with `keep` and vanish without.
    ///
    /// # Errors
    /// An axis that is not there or is named twice.
    pub fn sum(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Sum, x, axes, keep)
    }

    /// The largest element over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn max_over(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Max, x, axes, keep)
    }

    /// The smallest element over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn min_over(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Min, x, axes, keep)
    }

    /// The mean over `axes`.
    ///
    /// # Errors
    /// As [`Graph::sum`].
    pub fn mean(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value, GraphError> {
        self.reduce(ReduceKind::Mean, x, axes, keep)
    }

    /// The mean over `axes`, which stay as 1, of the squared differences of `x` from `centre`, of the
    /// result's shape: the biased variance, if `centre` is the mean.
    ///
    /// A composite: an executor may take it together with what computes `x`. Elsewhere it is the
    /// primitives of which it is made.
    ///
    /// ```
    /// use onestep_engine::{DType, Graph};
    /// # fn main() -> Result<(), onestep_engine::GraphError> {
    /// let mut g = Graph::new();
    /// let x = g.input("x", &[8, 3, 5, 5], DType::F32)?;
    /// let mean = g.mean(x, &[0, 2, 3], true)?;
    /// let variance = g.variance(x, mean, &[0, 2, 3])?;
    /// assert_eq!(g.shape(variance).dims(), &[1, 3, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Axes as of [`Graph::sum`], or a `centre` of another shape.
    pub fn variance(
        &mut self,
        x: Value,
        centre: Value,
        axes: &[usize],
    ) -> Result<Value, GraphError> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        self.push(Op::Variance(Variance { axes }), &[x, centre])
    }

    /// The mean of all elements, a scalar.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn mean_all(&mut self, x: Value) -> Result<Value, GraphError> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.mean(x, &axes, false)
    }

    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// The operand is not f32.
    pub fn sum_all(&mut self, x: Value) -> Result<Value, GraphError> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.sum(x, &axes, false)
    }

    /// The index (i32) of the first largest element along `axis`, which vanishes.
    ///
    /// # Errors
    /// An axis that is not there or is empty.
    pub fn argmax(&mut self, x: Value, axis: usize) -> Result<Value, GraphError> {
        self.push(Op::ArgMax(ArgMax { axis }), &[x])
    }
}
