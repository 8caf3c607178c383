//! Sums that need no pass of their own, because other sums say what they are. The gradient of a
//! normalisation is full of them: what is centered sums to nothing, and a factor that is the same
//! for all terms can wait for the sum.

use crate::graph::{GraphError, Value};
use crate::ops::{Binary, Broadcast, Op, Reduce, ReduceKind, Unary};

use super::simplify::Rewriter;

impl Rewriter {
    /// A value equal to the sum of `x` that takes less work, if there is one.
    pub(super) fn cheaper_sum(
        &mut self,
        reduce: &Reduce,
        x: Value,
        label: Option<&str>,
    ) -> Result<Option<Value>, GraphError> {
        if reduce.kind != ReduceKind::Sum {
            return Ok(None);
        }
        let node = self.graph.node(x);
        let (op, inputs) = (node.op.clone(), node.inputs.clone());
        let terms = match (&op, &inputs[..]) {
            (Op::Unary(Unary::Neg), &[a]) => {
                let sum = self.add(&Op::Reduce(reduce.clone()), &[a], label)?;
                return Ok(Some(self.add(&op, &[sum], label)?));
            }
            (Op::Binary(Binary::Mul), &[a, b]) => return self.factored(reduce, [a, b], label),
            (Op::Binary(Binary::Add), &[a, b]) => [(a, b), (b, a)],
            _ => return Ok(None),
        };
        match terms.into_iter().find(|&(_, nothing)| self.sums_to_zero(reduce, nothing)) {
            Some((all, _)) => Ok(Some(self.add(&Op::Reduce(reduce.clone()), &[all], label)?)),
            None => Ok(None),
        }
    }

    /// The sum of a product, one of whose factors is the same for all terms, where the sum of the
    /// other is computed anyway.
    fn factored(
        &mut self,
        reduce: &Reduce,
        [a, b]: [Value; 2],
        label: Option<&str>,
    ) -> Result<Option<Value>, GraphError> {
        for (terms, factor) in [(a, b), (b, a)] {
            let sum = self.find(&Op::Reduce(reduce.clone()), &[terms]);
            if let (Some(sum), Some(factor)) = (sum, self.constant_along(reduce, factor)) {
                let shape = self.graph.shape(sum).clone();
                let factor = if self.graph.shape(factor) == &shape {
                    factor
                } else {
                    self.add(&Op::Broadcast(Broadcast { shape }), &[factor], label)?
                };
                return Ok(Some(self.add(&Op::Binary(Binary::Mul), &[sum, factor], label)?));
            }
        }
        Ok(None)
    }

    /// What `x` repeats along the axes of a sum.
    fn constant_along(&self, reduce: &Reduce, x: Value) -> Option<Value> {
        let node = self.graph.node(x);
        let (Op::Broadcast(broadcast), &[from]) = (&node.op, &node.inputs[..]) else { return None };
        let dims = self.graph.shape(from).dims();
        let missing = broadcast.shape.rank() - dims.len();
        let repeats = |&axis: &usize| axis < missing || dims[axis - missing] == 1;
        reduce.axes.iter().all(repeats).then_some(from)
    }

    /// Whether the terms cancel: differences from their own mean, whatever they are multiplied by.
    fn sums_to_zero(&self, reduce: &Reduce, x: Value) -> bool {
        let node = self.graph.node(x);
        match (&node.op, &node.inputs[..]) {
            (Op::Unary(Unary::Neg), &[a]) => self.sums_to_zero(reduce, a),
            (Op::Binary(Binary::Mul), &[a, b]) => {
                [(a, b), (b, a)].into_iter().any(|(a, factor)| {
                    self.constant_along(reduce, factor).is_some() && self.sums_to_zero(reduce, a)
                })
            }
            (Op::Binary(Binary::Sub), &[a, mean]) => {
                self.constant_along(reduce, mean).is_some_and(|mean| self.is_mean(reduce, mean, a))
            }
            _ => false,
        }
    }

    /// Whether `mean` is the mean of `x` over the axes of a sum.
    fn is_mean(&self, reduce: &Reduce, mean: Value, x: Value) -> bool {
        let node = self.graph.node(mean);
        let wanted = Reduce { kind: ReduceKind::Mean, axes: reduce.axes.clone() };
        node.op == Op::Reduce(wanted) && node.inputs == [x]
    }
}
