//! Gradient clipping, as graph nodes before the rule.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OptimizerError;
use crate::check::{Range, check};

/// The name of the report that clipping by norm adds to the ticket.
pub const GRAD_NORM: &str = "grad_norm";

/// What is added to the norm before the division, as in PyTorch.
const NORM_EPS: f32 = 1e-6;

/// How gradients are kept within bounds. In JSON: `{"norm": 1.0}` or `{"value": 0.5}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// All gradients together are scaled by `min(1, max / (norm + 1e-6))`, where `norm` is the
    /// Euclidean norm of all of them (Pascanu et al., 2013, "On the difficulty of training
    /// recurrent neural networks"; `torch.nn.utils.clip_grad_norm_`). The norm before clipping
    /// comes back in the ticket as `grad_norm`. An infinite maximum reports it and clips nothing.
    Norm(f64),
    /// Each element is brought into `[-max, max]` (`torch.nn.utils.clip_grad_value_`).
    Value(f64),
}

impl Clip {
    /// Checks the bound.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] when it is not above zero.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let (field, max) = match *self {
            Clip::Norm(max) => ("norm", max),
            Clip::Value(max) => ("value", max),
        };
        check("clip", [(field, max, Range::PositiveOrInfinite)])
    }

    /// Appends the clipping of all gradients. Returns them in the same order, and their norm
    /// where clipping is by norm.
    pub(crate) fn apply(
        self,
        g: &mut Graph,
        gradients: &[Value],
    ) -> Result<(Vec<Value>, Option<Value>), GraphError> {
        match self {
            Clip::Norm(max) => {
                let norm = global_norm(g, gradients)?;
                let scale = norm_scale(g, norm, max)?;
                let clipped = gradients.iter().map(|&gradient| g.mul(gradient, scale));
                Ok((clipped.collect::<Result<_, _>>()?, Some(norm)))
            }
            Clip::Value(max) => {
                let clipped = gradients.iter().map(|&gradient| clip_value(g, gradient, max));
                Ok((clipped.collect::<Result<_, _>>()?, None))
            }
        }
    }
}

/// The Euclidean norm of all gradients together, a scalar.
fn global_norm(g: &mut Graph, gradients: &[Value]) -> Result<Value, GraphError> {
    let mut total = None;
    for &gradient in gradients {
        let squares = g.square(gradient)?;
        let sum = g.sum_all(squares)?;
        total = Some(match total {
            Some(total) => g.add(total, sum)?,
            None => sum,
        });
    }
    match total {
        Some(total) => g.sqrt(total),
        None => g.constant(0.0),
    }
}

/// `min(1, max / (norm + 1e-6))`
fn norm_scale(g: &mut Graph, norm: Value, max: f64) -> Result<Value, GraphError> {
    let max = g.constant(max as f32)?;
    let divisor = g.offset(norm, NORM_EPS)?;
    let ratio = g.div(max, divisor)?;
    let one = g.constant(1.0)?;
    g.min(ratio, one)
}

fn clip_value(g: &mut Graph, gradient: Value, max: f64) -> Result<Value, GraphError> {
    let (low, high) = (g.constant(-max as f32)?, g.constant(max as f32)?);
    let raised = g.max(gradient, low)?;
    g.min(raised, high)
}
