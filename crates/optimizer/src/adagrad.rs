//! AdaGrad.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::{GroupLeaves, OptimizerError, OptimizerSpec, StateKind, UpdateRule, Updated};

/// AdaGrad (Duchi et al., 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
/// Optimization"), in the form that `torch.optim.Adagrad` uses:
///
/// ```text
/// d = g + weight_decay * p
/// s = s + d^2
/// p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(s) + eps)
/// ```
///
/// State: `sum` (s), which starts at `initial_accumulator_value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// The learning rate.
    pub lr: f64,
    /// How fast the learning rate falls with the number of steps.
    pub lr_decay: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// What the sum of squares is before the first step.
    pub initial_accumulator_value: f64,
    /// Keeps the quotient finite.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
        }
    }
}

impl Adagrad {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "adagrad",
            [
                ("lr", self.lr, Range::NotNegative),
                ("lr_decay", self.lr_decay, Range::NotNegative),
                ("weight_decay", self.weight_decay, Range::NotNegative),
                ("initial_accumulator_value", self.initial_accumulator_value, Range::NotNegative),
                ("eps", self.eps, Range::NotNegative),
            ],
        )
    }

    /// `lr / (1 + (step - 1) * lr_decay)`, a scalar.
    fn rate(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        if self.lr_decay == 0.0 {
            return Ok(leaves.lr);
        }
        let step = leaves.step(g)?;
        let before = g.offset(step, -1.0)?;
        let growth = g.scale(before, self.lr_decay as f32)?;
        let divisor = g.offset(growth, 1.0)?;
        g.div(leaves.lr, divisor)
    }
}

impl UpdateRule for Adagrad {
    fn name(&self) -> &str {
        "adagrad"
    }

    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::filled("sum", self.initial_accumulator_value as f32)]
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn spec(&self) -> Option<OptimizerSpec> {
        Some(OptimizerSpec::Adagrad(self.clone()))
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let gradient = leaves.penalised_gradient(g)?;
        let square = g.square(gradient)?;
        let sum = g.add(leaves.state("sum")?, square)?;
        let root = g.sqrt(sum)?;
        let denominator = g.offset(root, self.eps as f32)?;
        let direction = g.div(gradient, denominator)?;
        let rate = self.rate(g, &leaves)?;
        let change = g.mul(direction, rate)?;
        Ok(Updated { parameter: g.sub(leaves.parameter, change)?, states: vec![sum] })
    }
}
