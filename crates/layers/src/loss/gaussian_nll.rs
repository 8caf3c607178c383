//! The negative log-likelihood of numbers with a variance each.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task};
use crate::error::LayerError;

/// The mean of `(log v + (mean - t)^2 / v) / 2` with `v = max(var, eps)`, of two outputs: the mean, and the
/// variance, of the same shape or with a last axis of 1 (Nix and Weigend, "Estimating the mean and variance of
/// the target probability distribution", 1994). The target is f32 of the mean's shape. A variance below `eps`
/// counts as `eps` and gets no gradient, where PyTorch passes it on that of `eps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GaussianNll {
    /// Whether the constant `log(2 pi) / 2` is added; default false.
    #[serde(default)]
    pub full: bool,
    /// The least variance; above 0, default 1e-6.
    #[serde(default = "small")]
    pub eps: f32,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

fn small() -> f32 {
    1e-6
}

impl Default for GaussianNll {
    fn default() -> Self {
        GaussianNll { full: false, eps: small(), reduction: Reduction::Mean }
    }
}

impl Loss for GaussianNll {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        if !(self.eps.is_finite() && self.eps > 0.0) {
            return Err(LayerError::option("gaussian_nll", "eps", "finite and above 0", self.eps));
        }
        let [mean, variance] = cx.outputs_of("gaussian_nll", ["mean", "var"])?;
        let (dims, given) = (cx.dims(), cx.graph.shape(variance).dims().to_vec());
        let mut single = dims.clone();
        single.last_mut().into_iter().for_each(|last| *last = 1);
        if given != dims && given != single {
            let wanted = format!("a variance of {dims:?} or {single:?}");
            return Err(LayerError::input("gaussian_nll", wanted, format!("{given:?}")));
        }
        let target = cx.target(&dims, DType::F32)?;
        let g = &mut *cx.graph;
        let eps = g.constant(self.eps)?;
        let low = g.lt(variance, eps)?;
        let value = g.select(low, eps, variance)?;
        let error = g.sub(mean, target)?;
        let square = g.square(error)?;
        let share = g.div(square, value)?;
        let log = g.log(value)?;
        let mut each = g.add(share, log)?;
        each = g.scale(each, 0.5)?;
        if self.full {
            each = g.offset(each, 0.5 * std::f32::consts::TAU.ln())?;
        }
        let reduced = cx.reduce(each, self.reduction)?;
        Ok(cx.finish(target, reduced, mean))
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn most_outputs(&self) -> usize {
        2
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
