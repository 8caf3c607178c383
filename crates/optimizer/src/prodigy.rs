//! Prodigy.

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

/// Prodigy (Mishchenko and Defazio, 2024, "Prodigy: An Expeditiously Adaptive Parameter-Free
/// Learner", algorithm 4), in the form and with the defaults of its authors' package `prodigyopt`:
/// Adam whose learning rate is an estimate `d` of the distance to the solution. `lr` is a factor of
/// it, best left at 1 or on a schedule that falls.
///
/// ```text
/// dlr = d * lr (* sqrt(1 - beta2^t) / (1 - beta1^t) with use_bias_correction)
/// m = beta1 * m + (1 - beta1) * d * g
/// v = beta2 * v + (1 - beta2) * d^2 * g^2
/// s = beta3 * s + d / d0 * dlr * g             (d in place of dlr with safeguard_warmup)
/// n = beta3 * n + d / d0 * dlr * <g, p0 - p>   over all parameters of the run
/// e = d_coef * n / sum |s|                     over all parameters of the run
/// d_max = max(d_max, e)                        (and d = max(d, e) as long as d is d0)
/// d = min(d_max, d * growth_rate)
/// p = p * (1 - weight_decay * dlr) - dlr * m / (sqrt(v) + d * eps)
/// ```
///
/// State: `exp_avg` (m), `exp_avg_sq` (v), `s`, `p0` (the parameters at the start), and for the run
/// `d`, `d_max` and `d_numerator` (n).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prodigy {
    /// The factor of the estimated learning rate.
    pub lr: f64,
    /// How much is kept of the averages of the gradient and of its square.
    pub betas: [f64; 2],
    /// How much is kept of the sums; by default the root of the second of `betas`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta3: Option<f64>,
    /// Keeps the quotient finite.
    pub eps: f64,
    /// How much the parameters shrink at each step, times the learning rate.
    pub weight_decay: f64,
    /// Whether to correct the averages for their start.
    pub use_bias_correction: bool,
    /// Whether the sums leave out the learning rate, for a long warm-up.
    pub safeguard_warmup: bool,
    /// The estimate before the first step.
    pub d0: f64,
    /// The factor of a new estimate.
    pub d_coef: f64,
    /// The most that the estimate grows by in a step; by default without a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_rate: Option<f64>,
}

impl Default for Prodigy {
    fn default() -> Self {
        Prodigy {
            lr: 1.0,
            betas: [0.9, 0.999],
            beta3: None,
            eps: 1e-8,
            weight_decay: 0.0,
            use_bias_correction: false,
            safeguard_warmup: false,
            d0: 1e-6,
            d_coef: 1.0,
            growth_rate: None,
        }
    }
}

/// The rule with its options.
#[derive(Debug)]
struct Rule<'a>(&'a Prodigy);

impl Prodigy {
    /// Checks the options.
    ///
    /// # Errors
    /// [`OptimizerError::Option`] for the first option that is out of its range.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        check_adam("prodigy", self.lr, self.betas, self.eps, self.weight_decay)?;
        check(
            "prodigy",
            [
                ("beta3", self.beta3.unwrap_or(0.0), Range::BelowOne),
                ("eps", self.eps, Range::Positive),
                ("d0", self.d0, Range::Positive),
                ("d_coef", self.d_coef, Range::Positive),
                ("growth_rate", self.growth_rate.unwrap_or(1.0), Range::Positive),
            ],
        )
    }

    fn rule(&self) -> Rule<'_> {
        Rule(self)
    }
}

optimizer_options!(Prodigy, "prodigy");

impl Rule<'_> {
    fn betas(&self, leaves: &GroupLeaves<'_>) -> [Hyper; 2] {
        let [first, second] = self.0.betas;
        [leaves.hyper("beta1", first), leaves.hyper("beta2", second)]
    }

    /// What is kept of the sums of the estimate: `sqrt(beta2)` unless it is given.
    fn beta3(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Hyper, GraphError> {
        Ok(match (self.0.beta3, self.betas(leaves)) {
            (Some(beta3), _) => Hyper::Fixed(beta3),
            (None, [_, Hyper::Fixed(beta2)]) => Hyper::Fixed(beta2.sqrt()),
            (None, [_, Hyper::Fed(beta2)]) => Hyper::Fed(g.sqrt(beta2)?),
        })
    }

    /// `dlr`, a scalar.
    fn rate(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let rate = g.mul(leaves.shared("d")?.old, leaves.lr)?;
        if !self.0.use_bias_correction {
            return Ok(rate);
        }
        let step = leaves.step(g)?;
        let [beta1, beta2] = self.betas(leaves);
        let first = beta1.bias_correction(g, step)?;
        let second = beta2.bias_correction(g, step)?;
        let second = g.sqrt(second)?;
        let correction = g.div(second, first)?;
        g.mul(rate, correction)
    }

    /// `d / d0`, a scalar.
    fn growth(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let start = g.constant(self.0.d0 as f32)?;
        g.div(leaves.shared("d")?.old, start)
    }

    /// The new `s` of a group.
    fn sums(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let growth = self.growth(g, leaves)?;
        let size = match self.0.safeguard_warmup {
            true => leaves.shared("d")?.old,
            false => self.rate(g, leaves)?,
        };
        let factor = g.mul(growth, size)?;
        let fresh = g.mul(leaves.gradient, factor)?;
        let kept = self.beta3(g, leaves)?.times(g, leaves.state("s")?)?;
        g.add(kept, fresh)
    }

    /// `d / d0 * dlr * <g, p0 - p>` of a group.
    fn progress(&self, g: &mut Graph, leaves: &GroupLeaves<'_>) -> Result<Value, GraphError> {
        let way = g.sub(leaves.state("p0")?, leaves.parameter)?;
        let product = g.mul(leaves.gradient, way)?;
        let product = g.sum_all(product)?;
        let (growth, rate) = (self.growth(g, leaves)?, self.rate(g, leaves)?);
        let factor = g.mul(growth, rate)?;
        g.mul(product, factor)
    }

    /// The new `d` and `d_max` for an estimate.
    fn estimate(
        &self,
        g: &mut Graph,
        leaves: &GroupLeaves<'_>,
        estimate: Value,
    ) -> Result<[Value; 2], GraphError> {
        let d = leaves.shared("d")?.old;
        let start = g.constant(self.0.d0 as f32)?;
        let first = g.eq(d, start)?;
        let larger = g.max(d, estimate)?;
        let d = g.select(first, larger, d)?;
        let d_max = g.max(leaves.shared("d_max")?.old, estimate)?;
        let d = match self.0.growth_rate {
            Some(rate) => {
                let most = g.scale(d, rate as f32)?;
                g.min(d_max, most)?
            }
            None => d_max,
        };
        Ok([d, d_max])
    }
}

impl UpdateRule for Rule<'_> {
    fn name(&self) -> &str {
        "prodigy"
    }

    fn states(&self) -> Vec<StateKind> {
        vec![
            StateKind::zeros("exp_avg"),
            StateKind::zeros("exp_avg_sq"),
            StateKind::zeros("s"),
            StateKind::copy("p0"),
        ]
    }

    fn shared_states(&self) -> Vec<SharedState> {
        let start = self.0.d0 as f32;
        vec![
            SharedState::run("d", start),
            SharedState::run("d_max", start),
            SharedState::run("d_numerator", 0.0),
        ]
    }

    fn shared(
        &self,
        g: &mut Graph,
        scope: Scope,
        groups: &[GroupLeaves<'_>],
    ) -> Result<Vec<Value>, GraphError> {
        let (Scope::Run, Some(first)) = (scope, groups.first()) else { return Ok(Vec::new()) };
        let old = first.shared("d_numerator")?.old;
        let mut numerator = self.beta3(g, first)?.times(g, old)?;
        let zero = g.constant(0.0)?;
        let mut denominator = zero;
        for leaves in groups {
            let progress = self.progress(g, leaves)?;
            numerator = g.add(numerator, progress)?;
            let sums = self.sums(g, leaves)?;
            let sizes = g.abs(sums)?;
            let sum = g.sum_all(sizes)?;
            denominator = g.add(denominator, sum)?;
        }
        // Without a gradient nothing is learnt of the distance.
        let some = g.gt(denominator, zero)?;
        let one = g.constant(1.0)?;
        let divisor = g.select(some, denominator, one)?;
        let ratio = g.div(numerator, divisor)?;
        let estimate = first.hyper("d_coef", self.0.d_coef).times(g, ratio)?;
        let [d, d_max] = self.estimate(g, first, estimate)?;
        let d = g.select(some, d, first.shared("d")?.old)?;
        let d_max = g.select(some, d_max, first.shared("d_max")?.old)?;
        Ok(vec![d, d_max, g.select(some, numerator, old)?])
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let [beta1, beta2] = self.betas(&leaves);
        let d = leaves.shared("d")?;
        let fresh = g.mul(leaves.gradient, d.old)?;
        let square = g.square(fresh)?;
        let first = beta1.average(g, leaves.state("exp_avg")?, fresh)?;
        let second = beta2.average(g, leaves.state("exp_avg_sq")?, square)?;
        let sums = self.sums(g, &leaves)?;
        let rate = self.rate(g, &leaves)?;
        let parameter = GroupLeaves { lr: rate, ..leaves }.decayed_parameter(g)?;
        let root = g.sqrt(second)?;
        let least = leaves.hyper("eps", self.0.eps).times(g, d.new)?;
        let denominator = g.add(root, least)?;
        let direction = g.div(first, denominator)?;
        let change = g.mul(direction, rate)?;
        let parameter = g.sub(parameter, change)?;
        Ok(Updated { parameter, states: vec![first, second, sums, leaves.state("p0")?] })
    }
}
