//! Adam, and the moments that it shares with AdamW.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::{Range, check};
use crate::{GroupLeaves, OptimizerError, OptimizerSpec, StateKind, UpdateRule, Updated};

/// Adam (Kingma and Ba, 2015, "Adam: A Method for Stochastic Optimization"), with the maximum of
/// Reddi et al. (2018), "On the Convergence of Adam and Beyond", as an option, in the form that
/// `torch.optim.Adam` uses:
///
/// ```text
/// d = g + weight_decay * p
/// m = beta1 * m + (1 - beta1) * d
/// v = beta2 * v + (1 - beta2) * d^2
/// w = max(w, v) with amsgrad, v without
/// p = p - lr / (1 - beta1^t) * m / (sqrt(w) / sqrt(1 - beta2^t) + eps)
/// ```
///
/// `1 - beta^t` is computed as `-expm1(t * ln beta)`, so that f32 does not lose its
/// leading digits at small `t`.
///
/// State: `exp_avg` (m), `exp_avg_sq` (v) and with amsgrad `max_exp_avg_sq` (w).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// The factor of the L2 penalty, which passes through the averages. See
    /// [`AdamW`](crate::AdamW) for decay that does not.
    pub weight_decay: f64,
    /// Whether to divide by the largest average of the square so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false }
    }
}

impl Adam {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        self.moments().validate("adam", self.lr, self.weight_decay)
    }

    fn moments(&self) -> Moments {
        Moments { betas: self.betas, eps: self.eps, amsgrad: self.amsgrad }
    }
}

impl UpdateRule for Adam {
    fn name(&self) -> &str {
        "adam"
    }

    fn states(&self) -> Vec<StateKind> {
        self.moments().states()
    }

    fn weight_decay(&self) -> f64 {
        self.weight_decay
    }

    fn spec(&self) -> Option<OptimizerSpec> {
        Some(OptimizerSpec::Adam(self.clone()))
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let gradient = leaves.penalised_gradient(g)?;
        self.moments().update(g, &leaves, leaves.parameter, gradient)
    }
}

/// The options that Adam and AdamW have in common.
pub(crate) struct Moments {
    pub(crate) betas: [f64; 2],
    pub(crate) eps: f64,
    pub(crate) amsgrad: bool,
}

impl Moments {
    /// Checks all options of an Adam by the name of `subject`.
    pub(crate) fn validate(
        &self,
        subject: &str,
        lr: f64,
        weight_decay: f64,
    ) -> Result<(), OptimizerError> {
        check(
            subject,
            [
                ("lr", lr, Range::NotNegative),
                ("betas[0]", self.betas[0], Range::BelowOne),
                ("betas[1]", self.betas[1], Range::BelowOne),
                ("eps", self.eps, Range::NotNegative),
                ("weight_decay", weight_decay, Range::NotNegative),
            ],
        )
    }

    /// The state.
    pub(crate) fn states(&self) -> Vec<StateKind> {
        let mut states = vec![StateKind::zeros("exp_avg"), StateKind::zeros("exp_avg_sq")];
        if self.amsgrad {
            states.push(StateKind::zeros("max_exp_avg_sq"));
        }
        states
    }

    /// The step of `parameter` along `gradient`.
    pub(crate) fn update(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        parameter: Value,
        gradient: Value,
    ) -> Result<Updated, GraphError> {
        let [beta1, beta2] = self.betas;
        let square = g.square(gradient)?;
        let first = running_average(g, leaves.state("exp_avg")?, gradient, beta1)?;
        let second = running_average(g, leaves.state("exp_avg_sq")?, square, beta2)?;
        let mut states = vec![first, second];
        let mut divisor = second;
        if self.amsgrad {
            divisor = g.max(leaves.state("max_exp_avg_sq")?, second)?;
            states.push(divisor);
        }

        let step = leaves.step(g)?;
        let first_correction = bias_correction(g, step, beta1)?;
        let second_correction = bias_correction(g, step, beta2)?;
        let size = g.div(leaves.lr, first_correction)?;
        let spread = g.rsqrt(second_correction)?;

        let root = g.sqrt(divisor)?;
        let root = g.mul(root, spread)?;
        let denominator = g.offset(root, self.eps as f32)?;
        let direction = g.div(first, denominator)?;
        let change = g.mul(direction, size)?;
        Ok(Updated { parameter: g.sub(parameter, change)?, states })
    }
}

/// `keep * average + (1 - keep) * value`, with `1 - keep` taken in f64: in f32 `1 - 0.999` would
/// be off by 1e-5 of itself.
pub(crate) fn running_average(
    g: &mut Graph,
    average: Value,
    value: Value,
    keep: f64,
) -> Result<Value, GraphError> {
    let old = g.scale(average, keep as f32)?;
    let fresh = g.scale(value, (1.0 - keep) as f32)?;
    g.add(old, fresh)
}

/// `1 - beta^step` as `-expm1(step * ln beta)`: a scalar.
fn bias_correction(g: &mut Graph, step: Value, beta: f64) -> Result<Value, GraphError> {
    if beta == 0.0 {
        return g.constant(1.0);
    }
    let exponent = g.scale(step, beta.ln() as f32)?;
    let grown = g.expm1(exponent)?;
    g.neg(grown)
}
