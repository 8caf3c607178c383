//! Adafactor's direction: second moments by row and column.

use onestep_engine::{Graph, GraphError, StateShape, Value};

use super::trust::norm;
use crate::chain::{Flow, Transform};
use crate::hyper::Hyper;
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

const ROWS: &str = "row_var";
const COLUMNS: &str = "col_var";
const VARIANCE: &str = "variance";

/// Each tensor's update over the root of its square's average, of which a tensor of rank 2 or more
/// keeps the means of rows and columns of its last two axes alone; clipped, and times a rate in
/// proportion to the parameters. See [`Adafactor`](crate::Adafactor).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdafactor {
    /// The exponent of the step's number that a new square counts with.
    pub beta2_decay: f64,
    /// The least root of the average, and the least root mean square of the parameters.
    pub eps: [f64; 2],
    /// The largest root mean square of the update.
    pub d: f64,
}

impl Transform for ScaleByAdafactor {
    fn states(&self) -> Vec<StateKind> {
        vec![
            StateKind::shaped(ROWS, StateShape::Rows),
            StateKind::shaped(COLUMNS, StateShape::Columns),
            StateKind::shaped(VARIANCE, StateShape::Vectors),
        ]
    }

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
        let step = leaves.step(g)?;
        let fresh = {
            let exponent = g.constant(self.beta2_decay as f32)?;
            g.pow(step, exponent)?
        };
        let mut new = [Vec::new(), Vec::new(), Vec::new()];
        let mut parts = Vec::with_capacity(leaves.tensors.len());
        for tensor in 0..leaves.tensors.len() {
            let update = leaves.view(g, all, tensor)?;
            let estimate = self.estimate(g, leaves, tensor, (update, fresh), &mut new)?;
            let rate = self.rate(g, leaves, tensor, step)?;
            let least = g.constant((self.eps[0] * self.eps[0]) as f32)?;
            let estimate = g.max(estimate, least)?;
            let root = g.rsqrt(estimate)?;
            let update = g.mul(update, root)?;
            let rate = self.clipped(g, leaves.hyper("d", self.d), rate, update)?;
            parts.push(g.mul(update, rate)?);
        }
        for (kind, parts) in [ROWS, COLUMNS, VARIANCE].into_iter().zip(&new) {
            if !parts.is_empty() {
                flow.keep(kind, leaves.join(g, parts)?);
            }
        }
        flow.set(leaves.join(g, &parts)?);
        Ok(())
    }
}

impl ScaleByAdafactor {
    /// The average of the update's square, and into `new` what is kept of it.
    fn estimate(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        tensor: usize,
        (update, fresh): (Value, Value),
        new: &mut [Vec<Value>; 3],
    ) -> Result<Value, GraphError> {
        let square = g.square(update)?;
        let rows = leaves.state_view(g, ROWS, tensor)?;
        let columns = leaves.state_view(g, COLUMNS, tensor)?;
        let (Some(rows), Some(columns)) = (rows, columns) else {
            let old = leaves.state_view(g, VARIANCE, tensor)?.unwrap_or(square);
            let variance = towards(g, old, square, fresh)?;
            new[2].push(variance);
            return Ok(variance);
        };
        let rank = g.shape(update).rank();
        let of_rows = g.mean(square, &[rank - 1], true)?;
        let rows = towards(g, rows, of_rows, fresh)?;
        let of_columns = g.mean(square, &[rank - 2], true)?;
        let columns = towards(g, columns, of_columns, fresh)?;
        new[0].push(rows);
        new[1].push(columns);
        let mean = g.mean(rows, &[rank - 2], true)?;
        let least = g.constant(self.eps[0] as f32)?;
        let mean = g.max(mean, least)?;
        let outer = g.mul(rows, columns)?;
        g.div(outer, mean)
    }

    /// `max(eps2, rms(parameter)) * min(lr, 1 / sqrt(step))`
    fn rate(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        tensor: usize,
        step: Value,
    ) -> Result<Value, GraphError> {
        let most = g.rsqrt(step)?;
        let rho = g.min(leaves.lr, most)?;
        let parameter = leaves.view(g, leaves.parameter, tensor)?;
        let size = rms(g, parameter)?;
        let least = g.constant(self.eps[1] as f32)?;
        let size = g.max(size, least)?;
        g.mul(size, rho)
    }

    /// `rate / max(1, rms(update) / d)`
    fn clipped(
        &self,
        g: &mut Graph,
        d: Hyper,
        rate: Value,
        update: Value,
    ) -> Result<Value, GraphError> {
        let size = rms(g, update)?;
        let size = d.divided(g, size)?;
        let one = g.constant(1.0)?;
        let size = g.max(size, one)?;
        g.div(rate, size)
    }
}

/// `old + share * (new - old)`
fn towards(g: &mut Graph, old: Value, new: Value, share: Value) -> Result<Value, GraphError> {
    let difference = g.sub(new, old)?;
    let change = g.mul(difference, share)?;
    g.add(old, change)
}

/// The root mean square of a tensor, a scalar.
fn rms(g: &mut Graph, x: Value) -> Result<Value, GraphError> {
    let count = g.shape(x).elements().max(1) as f64;
    let size = norm(g, x)?;
    g.scale(size, (1.0 / count.sqrt()) as f32)
}
