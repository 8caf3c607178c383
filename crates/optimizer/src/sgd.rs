//! Stochastic gradient descent with momentum.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::{GroupLeaves, OptimizerError, OptimizerSpec, StateKind, UpdateRule, Updated};

const BUFFER: &str = "momentum_buffer";

/// Stochastic gradient descent, with momentum as in Sutskever et al. (2013), "On the importance of
/// initialization and momentum in deep learning", in the form that `torch.optim.SGD` uses:
///
/// ```text
/// d = g + weight_decay * p
/// b = d                                        at step 1
/// b = momentum * b + (1 - dampening) * d       later
/// d = d + momentum * b                         with Nesterov's momentum
/// d = b                                        without
/// p = p - lr * d
/// ```
///
/// Without momentum there is no state and `d` is used as it is.
///
/// State: `momentum_buffer`, if `momentum` is not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// The learning rate.
    pub lr: f64,
    /// How much of the last change is kept, such as 0.9.
    pub momentum: f64,
    /// How much less a new gradient counts in the momentum.
    pub dampening: f64,
    /// The factor of the L2 penalty.
    pub weight_decay: f64,
    /// Nesterov's momentum; needs `momentum` above 0 and `dampening` 0.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { lr: 1e-3, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }
}

impl Sgd {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check(
            "sgd",
            [
                ("lr", self.lr, Range::NotNegative),
                ("momentum", self.momentum, Range::NotNegative),
                ("dampening", self.dampening, Range::UpToOne),
                ("weight_decay", self.weight_decay, Range::NotNegative),
            ],
        )?;
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            let got =
                format!("true with momentum {} and dampening {}", self.momentum, self.dampening);
            let wanted = "false unless momentum is above 0 and dampening is 0";
            return Err(OptimizerError::option("sgd", "nesterov", wanted, got));
        }
        Ok(())
    }

    /// `momentum * buffer + (1 - dampening) * d`, where at step 1 the factor of `d` is 1. As the
    /// buffer starts at zero, that makes it `d` at step 1.
    fn buffer(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        d: Value,
    ) -> Result<Value, GraphError> {
        let old = leaves.state(BUFFER)?;
        let kept = g.scale(old, self.momentum as f32)?;
        if self.dampening == 0.0 {
            return g.add(kept, d);
        }
        let one = g.constant(1.0)?;
        let damped = g.constant((1.0 - self.dampening) as f32)?;
        let step = leaves.step(g)?;
        let first = g.le(step, one)?;
        let factor = g.select(first, one, damped)?;
        let fresh = g.mul(d, factor)?;
        g.add(kept, fresh)
    }
}

impl UpdateRule for Sgd {
    fn name(&self) -> &str {
        "sgd"
    }

    fn states(&self) -> Vec<StateKind> {
        match self.momentum {
            0.0 => Vec::new(),
            _ => vec![StateKind::zeros(BUFFER)],
        }
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn spec(&self) -> Option<OptimizerSpec> {
        Some(OptimizerSpec::Sgd(self.clone()))
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let mut direction = leaves.penalised_gradient(g)?;
        let mut states = Vec::new();
        if self.momentum != 0.0 {
            let buffer = self.buffer(g, &leaves, direction)?;
            direction = if self.nesterov {
                let ahead = g.scale(buffer, self.momentum as f32)?;
                g.add(direction, ahead)?
            } else {
                buffer
            };
            states.push(buffer);
        }
        let change = g.mul(direction, leaves.lr)?;
        Ok(Updated { parameter: g.sub(leaves.parameter, change)?, states })
    }
}
