//! A hinge between two distances.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::huber::one;
use super::{Loss, LossContext, LossValues, Reduction, Task, pairs};
use crate::error::LayerError;

/// The mean of `max(0, d(a, p) - d(a, n) + margin)` of three outputs `[batch, ..., features]`: an anchor, what
/// it should be near to, and what it should be far from (Balntas et al., "Learning local feature descriptors
/// with triplets", 2016). `d(x, y)` is the `p`-norm of `x - y + eps` along the last axis. No target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TripletMargin {
    /// How much farther is enough; above 0, default 1.
    #[serde(default = "one")]
    pub margin: f32,
    /// The norm; above 0, default 2.
    #[serde(default = "two")]
    pub p: f32,
    /// Added to differences, so that the norm has a gradient where they are 0; default 1e-6.
    #[serde(default = "small")]
    pub eps: f32,
    /// Whether the distance between positive and negative counts where it is smaller than that
    /// between anchor and negative; default false.
    #[serde(default)]
    pub swap: bool,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn two() -> f32 {
    2.0
}

fn small() -> f32 {
    1e-6
}

impl Default for TripletMargin {
    fn default() -> Self {
        let reduction = Reduction::Mean;
        TripletMargin { margin: one(), p: two(), eps: small(), swap: false, reduction }
    }
}

impl TripletMargin {
    fn check(&self) -> Result<(), LayerError> {
        let above = |name: &'static str, x: f32| match x.is_finite() && x > 0.0 {
            true => Ok(()),
            false => Err(LayerError::option("triplet_margin", name, "finite and above 0", x)),
        };
        above("margin", self.margin)?;
        above("p", self.p)?;
        match self.eps.is_finite() {
            true => Ok(()),
            false => Err(LayerError::option("triplet_margin", "eps", "finite", self.eps)),
        }
    }

    fn distance(&self, g: &mut Graph, x: Value, y: Value) -> Result<Value, GraphError> {
        let last = g.shape(x).rank() - 1;
        let difference = g.sub(x, y)?;
        let difference = g.offset(difference, self.eps)?;
        if self.p == 2.0 {
            let square = g.square(difference)?;
            let sum = g.sum(square, &[last], false)?;
            return g.sqrt(sum);
        }
        let size = g.abs(difference)?;
        if self.p == 1.0 {
            return g.sum(size, &[last], false);
        }
        let (p, root) = (g.constant(self.p)?, g.constant(1.0 / self.p)?);
        let power = g.pow(size, p)?;
        let sum = g.sum(power, &[last], false)?;
        g.pow(sum, root)
    }
}

impl Loss for TripletMargin {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        self.check()?;
        let names = ["anchor", "positive", "negative"];
        let [anchor, positive, negative] = cx.outputs_of("triplet_margin", names)?;
        pairs::check_rows(cx, "triplet_margin", &[positive, negative])?;
        let g = &mut *cx.graph;
        let near = self.distance(g, anchor, positive)?;
        let mut far = self.distance(g, anchor, negative)?;
        if self.swap {
            let other = self.distance(g, positive, negative)?;
            far = g.min(far, other)?;
        }
        let lead = g.sub(near, far)?;
        let short = g.offset(lead, self.margin)?;
        let each = g.relu(short)?;
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(None, reduced, anchor))
    }

    fn task(&self) -> Task {
        Task::Unmeasured
    }

    fn most_outputs(&self) -> usize {
        3
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
