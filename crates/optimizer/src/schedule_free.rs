//! Schedule-free AdamW.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::OptimizerError;
use crate::adam::check_adam;
use crate::check::{Range, check};
use crate::hyper::Hyper;
use crate::leaves::GroupLeaves;
use crate::options::optimizer_options;
use crate::rule::{Scope, SharedState, StateKind, UpdateRule, Updated};

/// Schedule-free AdamW (Defazio et al., 2024, "The Road Less Scheduled", algorithm 1), in the form
/// and with the defaults of its authors' `AdamWScheduleFree`: an average of the weights takes the
/// place of a falling learning rate, which stays as it is but for a warm-up.
///
/// ```text
/// lr_t = lr * min(1, t / warmup_steps)
/// w = t^r * (largest lr_t so far)^weight_lr_power,  c = w / (sum of w so far)
/// v = beta2 * v + (1 - beta2) * g^2
/// d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * y
/// y = y + c * (z - y) + lr_t * (beta1 * (1 - c) - 1) * d
/// z = z - lr_t * d
/// x = x + c * (z - x)
/// ```
///
/// `y` are the parameters that are trained. To evaluate and to predict with are the averages `x`,
/// which the authors compute from `y` and `z` when they are asked for; here they are state that
/// such programs read in place of the parameters.
///
/// State: `z` and `x`, which start as copies of the parameters, `exp_avg_sq` (v), and for each
/// group `lr_max` and `weight_sum`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFree {
    /// The learning rate.
    pub lr: f64,
    /// How far `y` is from `z` to `x`, and how much is kept of the average of the square.
    pub betas: [f64; 2],
    /// Keeps the quotient finite.
    pub eps: f64,
    /// How much the parameters shrink at each step, times the learning rate.
    pub weight_decay: f64,
    /// Steps in which the learning rate rises.
    pub warmup_steps: u64,
    /// The power of the step's number in the average.
    pub r: f64,
    /// The power of the learning rate in the average.
    pub weight_lr_power: f64,
}

impl Default for ScheduleFree {
    fn default() -> Self {
        ScheduleFree {
            lr: 2.5e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

/// The rule with its options.
#[derive(Debug)]
struct Rule<'a>(&'a ScheduleFree);

impl ScheduleFree {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("schedule_free", self.lr, self.betas, self.eps, self.weight_decay)?;
        check(
            "schedule_free",
            [
                ("r", self.r, Range::NotNegative),
                ("weight_lr_power", self.weight_lr_power, Range::NotNegative),
            ],
        )
    }

    fn rule(&self) -> Rule<'_> {
        Rule(self)
    }
}

optimizer_options!(ScheduleFree, "schedule_free");

impl Rule<'_> {
    /// The learning rate of a step.
    fn rate(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        if self.0.warmup_steps == 0 {
            return Ok(leaves.lr);
        }
        let step = leaves.step(g)?;
        let risen = g.scale(step, (1.0 / self.0.warmup_steps as f64) as f32)?;
        let one = g.constant(1.0)?;
        let risen = g.min(risen, one)?;
        g.mul(leaves.lr, risen)
    }

    /// `t^r * lr_max^weight_lr_power`
    fn weight(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        lr_max: Value,
    ) -> Result<Value, GraphError> {
        let by_lr = power(g, lr_max, self.0.weight_lr_power)?;
        if self.0.r == 0.0 {
            return Ok(by_lr);
        }
        let step = leaves.step(g)?;
        let by_step = power(g, step, self.0.r)?;
        g.mul(by_step, by_lr)
    }

    /// How much `z` counts in the average: 0 where nothing has counted yet.
    fn share(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let sum = leaves.shared("weight_sum")?;
        let weight = g.sub(sum.new, sum.old)?;
        let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
        let some = g.gt(sum.new, zero)?;
        let divisor = g.select(some, sum.new, one)?;
        g.div(weight, divisor)
    }

    /// The direction `d`, and the new `v`.
    fn direction(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
    ) -> Result<(Value, Value), GraphError> {
        let beta2 = leaves.hyper("beta2", self.0.betas[1]);
        let square = g.square(leaves.gradient)?;
        let second = beta2.average(g, leaves.state("exp_avg_sq")?, square)?;
        let step = leaves.step(g)?;
        let correction = beta2.bias_correction(g, step)?;
        let spread = g.rsqrt(correction)?;
        let root = g.sqrt(second)?;
        let root = g.mul(root, spread)?;
        let denominator = leaves.hyper("eps", self.0.eps).added(g, root)?;
        let direction = g.div(leaves.gradient, denominator)?;
        Ok((leaves.penalised(g, direction)?, second))
    }
}

impl UpdateRule for Rule<'_> {
    fn name(&self) -> &str {
        "schedule_free"
    }

    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::copy("z"), StateKind::copy("x"), StateKind::zeros("exp_avg_sq")]
    }

    fn shared_states(&self) -> Vec<SharedState> {
        vec![SharedState::group("lr_max", 0.0), SharedState::group("weight_sum", 0.0)]
    }

    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let (Scope::Group, Some(leaves)) = (scope, groups.first()) else { return Ok(Vec::new()) };
        let rate = self.rate(g, leaves)?;
        let lr_max = g.max(leaves.shared("lr_max")?.old, rate)?;
        let weight = self.weight(g, leaves, lr_max)?;
        Ok(vec![lr_max, g.add(leaves.shared("weight_sum")?.old, weight)?])
    }

    fn weights(&self) -> Option<&'static str> {
        Some("x")
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let (rate, share) = (self.rate(g, &leaves)?, self.share(g, &leaves)?);
        let (direction, second) = self.direction(g, &leaves)?;
        let (y, z) = (leaves.parameter, leaves.state("z")?);
        // beta1 * (1 - c) - 1
        let rest = Hyper::Fed(share).rest(g)?;
        let ahead = leaves.hyper("beta1", self.0.betas[0]);
        let one = g.constant(1.0)?;
        let rest = rest.times(g, one)?;
        let ahead = ahead.times(g, rest)?;
        let ahead = g.offset(ahead, -1.0)?;
        let factor = g.mul(rate, ahead)?;
        let nearer = towards(g, y, z, share)?;
        let change = g.mul(direction, factor)?;
        let new_y = g.add(nearer, change)?;
        let change = g.mul(direction, rate)?;
        let new_z = g.sub(z, change)?;
        let new_x = towards(g, leaves.state("x")?, new_z, share)?;
        Ok(Updated { parameter: new_y, states: vec![new_z, new_x, second] })
    }
}

/// `from + share * (to - from)`
fn towards(g: &mut Graph, from: Value, to: Value, share: Value) -> Result<Value, GraphError> {
    let difference = g.sub(to, from)?;
    let change = g.mul(difference, share)?;
    g.add(from, change)
}

/// `base^exponent`, without rounding where the exponent is 0, 1 or 2.
fn power(g: &mut Graph, base: Value, exponent: f64) -> Result<Value, GraphError> {
    if exponent == 0.0 {
        return g.constant(1.0);
    }
    if exponent == 1.0 {
        return Ok(base);
    }
    if exponent == 2.0 {
        return g.square(base);
    }
    let exponent = g.constant(exponent as f32)?;
    g.pow(base, exponent)
}
