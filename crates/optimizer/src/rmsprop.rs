//! RMSprop.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::adam::running_average;
use crate::check::{Range, check};
use crate::{GroupLeaves, OptimizerError, OptimizerSpec, StateKind, UpdateRule, Updated};

/// RMSprop (Tieleman and Hinton, 2012, "Neural Networks for Machine Learning", lecture 6.5), with
/// the centred variant of Graves (2013), "Generating Sequences With Recurrent Neural Networks", in
/// the form that `torch.optim.RMSprop` uses:
///
/// ```text
/// d = g + weight_decay * p
/// s = alpha * s + (1 - alpha) * d^2
/// a = alpha * a + (1 - alpha) * d              if centred
/// r = sqrt(s - a^2) + eps if centred, sqrt(s) + eps if not
/// b = momentum * b + d / r                     with momentum
/// p = p - lr * b with momentum, p - lr * d / r without
/// ```
///
/// Where rounding makes the variance `s - a^2` negative it is taken as 0; PyTorch has NaN there.
///
/// State: `square_avg` (s), with momentum `momentum_buffer` (b), if centred `grad_avg` (a).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages.
    pub alpha: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// How much of the last change is kept.
    pub momentum: f64,
    /// Whether to divide by the standard deviation of the gradient instead of its root mean
    /// square.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
        }
    }
}

impl RmsProp {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "rmsprop",
            [
                ("lr", self.lr, Range::NotNegative),
                ("alpha", self.alpha, Range::UpToOne),
                ("eps", self.eps, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("momentum", self.momentum, Range::NotNegative),
            ],
        )
    }
}

impl UpdateRule for RmsProp {
    fn name(&self) -> &str {
        "rmsprop"
    }

    fn states(&self) -> Vec<StateKind> {
        let mut states = vec![StateKind::zeros("square_avg")];
        if self.momentum != 0.0 {
            states.push(StateKind::zeros("momentum_buffer"));
        }
        if self.centered {
            states.push(StateKind::zeros("grad_avg"));
        }
        states
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn spec(&self) -> Option<OptimizerSpec> {
        Some(OptimizerSpec::RmsProp(self.clone()))
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let gradient = leaves.penalised_gradient(g)?;
        let squared = g.square(gradient)?;
        let square = running_average(g, leaves.state("square_avg")?, squared, self.alpha)?;
        let mut mean = None;
        let root = if self.centered {
            let average = running_average(g, leaves.state("grad_avg")?, gradient, self.alpha)?;
            mean = Some(average);
            deviation(g, square, average)?
        } else {
            g.sqrt(square)?
        };
        let denominator = g.offset(root, self.eps as f32)?;
        let mut direction = g.div(gradient, denominator)?;
        let mut states = vec![square];
        if self.momentum != 0.0 {
            let kept = g.scale(leaves.state("momentum_buffer")?, self.momentum as f32)?;
            direction = g.add(kept, direction)?;
            states.push(direction);
        }
        states.extend(mean);
        let change = g.mul(direction, leaves.lr)?;
        Ok(Updated { parameter: g.sub(leaves.parameter, change)?, states })
    }
}

/// `sqrt(square - mean^2)`
fn deviation(g: &mut Graph, square: Value, mean: Value) -> Result<Value, GraphError> {
    let mean_square = g.square(mean)?;
    let variance = g.sub(square, mean_square)?;
    let variance = g.relu(variance)?;
    g.sqrt(variance)
}
