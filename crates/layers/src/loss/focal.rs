//! Cross-entropy that minds what is hard.

use onestep_engine::{Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, elementwise};
use crate::error::LayerError;

/// The mean of `a (1 - p)^gamma` times the binary cross-entropy over all elements, for logits `x`, targets
/// `t` in `[0, 1]` and the probability `p` of what the target says; `a` is `alpha` for the positive and
/// `1 - alpha` for the negative (Lin et al., "Focal Loss for Dense Object Detection", 2017; torchvision's
/// `sigmoid_focal_loss`). The target is f32 of the output's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Focal {
    /// The weight of positive targets, in `[0, 1]`, or null for none; default 0.25.
    #[serde(default = "alpha")]
    pub alpha: Option<f32>,
    /// How little the easy counts; at least 0, default 2.
    #[serde(default = "gamma")]
    pub gamma: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn alpha() -> Option<f32> {
    Some(0.25)
}

fn gamma() -> f32 {
    2.0
}

impl Default for Focal {
    fn default() -> Self {
        Focal { alpha: alpha(), gamma: gamma(), reduction: Reduction::Mean }
    }
}

impl Focal {
    /// `x^gamma` of what is in `[0, 1]`.
    fn power(&self, g: &mut Graph, x: Value) -> Result<Value, GraphError> {
        if self.gamma == 2.0 {
            return g.square(x);
        }
        // A power below 1 is infinitely steep at 0.
        let least = g.constant(f32::MIN_POSITIVE)?;
        let x = g.max(x, least)?;
        let gamma = g.constant(self.gamma)?;
        g.pow(x, gamma)
    }
}

impl Loss for Focal {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        if let Some(alpha) = self.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            return Err(LayerError::option("focal", "alpha", "in [0, 1], or null", alpha));
        }
        if !(self.gamma.is_finite() && self.gamma >= 0.0) {
            return Err(LayerError::option("focal", "gamma", "finite and at least 0", self.gamma));
        }
        let output = cx.output();
        let mut values = elementwise::build(cx, self.reduction, |g, x, target| {
            let one = g.constant(1.0)?;
            let probability = g.sigmoid(x)?;
            let opposite = g.sub(one, target)?;
            // t (1 - p) + (1 - t) p, where 1 - p is not a difference.
            let negative = g.neg(x)?;
            let improbable = g.sigmoid(negative)?;
            let missed = g.mul(target, improbable)?;
            let alarm = g.mul(opposite, probability)?;
            let wrong = g.add(missed, alarm)?;
            let factor = self.power(g, wrong)?;
            let entropy = elementwise::binary_cross_entropy(g, x, target, None)?;
            let mut loss = g.mul(entropy, factor)?;
            if let Some(alpha) = self.alpha {
                let slope = g.scale(target, 2.0 * alpha - 1.0)?;
                let weight = g.offset(slope, 1.0 - alpha)?;
                loss = g.mul(loss, weight)?;
            }
            Ok(loss)
        })?;
        values.prediction = cx.graph.sigmoid(output)?;
        Ok(values)
    }

    fn task(&self) -> Task {
        Task::Binary
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
