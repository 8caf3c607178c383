//! The divergence of a code from the standard normal distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task, pairs};
use crate::error::LayerError;

/// `-1/2 sum(1 + l - m^2 - e^l)` over all axes but the batch, of two outputs: the mean `m` and the logarithm `l`
/// of the variance, of one shape (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014, appendix B); of
/// the samples the mean, or the sum. No target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaeKl {
    /// How the samples become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Loss for VaeKl {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let [mean, log_variance] = cx.outputs_of("vae_kl", ["mean", "log_var"])?;
        pairs::check_rows(cx, "vae_kl", &[log_variance])?;
        let axes: Vec<usize> = (1..cx.dims().len()).collect();
        let g = &mut *cx.graph;
        // e^l - 1 - l is 0 to the last digit at 0.
        let grown = g.expm1(log_variance)?;
        let spread = g.sub(grown, log_variance)?;
        let square = g.square(mean)?;
        let each = g.add(spread, square)?;
        let sum = g.sum(each, &axes, false)?;
        let each = g.scale(sum, 0.5)?;
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(None, reduced, mean))
    }

    fn task(&self) -> Task {
        Task::Unmeasured
    }

    fn most_outputs(&self) -> usize {
        2
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
