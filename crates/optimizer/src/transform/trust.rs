//! Norms of tensors.

use onestep_engine::{Graph, GraphError, Value};

use crate::chain::{Flow, Transform};
use crate::hyper::Hyper;
use crate::leaves::GroupLeaves;

/// Each tensor's update in proportion to its parameters:
/// `update * coefficient * |parameter| / (|update| + eps)`, and as it is where either norm is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrustRatio {
    /// The share of the parameters' norm that the update has.
    pub coefficient: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
}

impl Transform for TrustRatio {
    fn by_tensor(&self) -> bool {
        true
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let all = flow.update(g)?;
        let mut scaled = Vec::with_capacity(leaves.tensors.len());
        for tensor in 0..leaves.tensors.len() {
            let update = leaves.view(g, all, tensor)?;
            let parameter = leaves.view(g, leaves.parameter, tensor)?;
            let ratio = self.ratio(g, leaves, [parameter, update])?;
            scaled.push(g.mul(update, ratio)?);
        }
        flow.set(leaves.join(g, &scaled)?);
        Ok(())
    }
}

impl TrustRatio {
    fn ratio(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        [parameter, update]: [Value; 2],
    ) -> Result<Value, GraphError> {
        let (own, size) = (norm(g, parameter)?, norm(g, update)?);
        let coefficient = leaves.hyper("trust_coefficient", self.coefficient);
        let wanted = coefficient.times(g, own)?;
        // Without one of its own the `eps` of a schedule is another transformation's.
        let eps = if self.eps == 0.0 { Hyper::Fixed(0.0) } else { leaves.hyper("eps", self.eps) };
        let divisor = eps.added(g, size)?;
        let ratio = g.div(wanted, divisor)?;
        let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
        let smaller = g.min(own, size)?;
        let either = g.le(smaller, zero)?;
        g.select(either, one, ratio)
    }
}

/// The Euclidean norm of a tensor, a scalar.
pub(crate) fn norm(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let squares = g.square(x)?;
    let sum = g.sum_all(squares)?;
    g.sqrt(sum)
}
