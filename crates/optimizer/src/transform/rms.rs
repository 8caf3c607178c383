//! Division by the root of squares: averaged, or summed.

use onestep_engine::{Graph, GraphError, Value};

use crate::chain::{Flow, Transform};
use crate::leaves::GroupLeaves;
use crate::rule::StateKind;

/// The update over the root of its square's average, or over its standard deviation:
///
/// ```text
/// s = alpha * s + (1 - alpha) * update^2
/// a = alpha * a + (1 - alpha) * update                   if centred
/// update = update / (sqrt(s - a^2) + eps) if centred, update / (sqrt(s) + eps) if not
/// ```
///
/// State: `square_avg` (s) and, if centred, `grad_avg` (a).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByRms {
    /// How much is kept of the averages.
    pub alpha: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// Whether to divide by the standard deviation.
    pub centered: bool,
}

impl Transform for ScaleByRms {
    fn states(&self) -> Vec<StateKind> {
        let mut states = vec![StateKind::zeros("square_avg")];
        if self.centered {
            states.push(StateKind::zeros("grad_avg"));
        }
        states
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let alpha = leaves.hyper("alpha", self.alpha);
        let update = flow.update(g)?;
        let squared = g.square(update)?;
        let square = alpha.average(g, leaves.state("square_avg")?, squared)?;
        flow.keep("square_avg", square);
        let root = if self.centered {
            let mean = alpha.average(g, leaves.state("grad_avg")?, update)?;
            flow.keep("grad_avg", mean);
            deviation(g, square, mean)?
        } else {
            g.sqrt(square)?
        };
        let denominator = leaves.hyper("eps", self.eps).added(g, root)?;
        flow.set(g.div(update, denominator)?);
        Ok(())
    }
}

/// `sqrt(square - mean^2)`
fn deviation(g: &mut Graph, square: Value, mean: Value) -> Result<Value, GraphError> {
    let mean_square = g.square(mean)?;
    let variance = g.sub(square, mean_square)?;
    let variance = g.relu(variance)?;
    g.sqrt(variance)
}

/// The update over the root of the sum of all its squares: `s = s + update^2`,
/// `update / (sqrt(s) + eps)`. State: `sum` (s).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleBySum {
    /// What the sum is before the first step.
    pub initial: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
}

impl Transform for ScaleBySum {
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::filled("sum", self.initial as f32)]
    }

    fn apply(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        flow: &mut Flow,
    ) -> Result<(), GraphError> {
        let update = flow.update(g)?;
        let square = g.square(update)?;
        let sum = g.add(leaves.state("sum")?, square)?;
        flow.keep("sum", sum);
        let root = g.sqrt(sum)?;
        let denominator = leaves.hyper("eps", self.eps).added(g, root)?;
        flow.set(g.div(update, denominator)?);
        Ok(())
    }
}
