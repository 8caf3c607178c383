//! The Kullback-Leibler divergence.

use onestep_engine::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduction, Task};
use crate::error::LayerError;

/// How the elements of a divergence become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlReduction {
    /// The mean over all elements: smaller than the divergence by the number of classes.
    #[default]
    Mean,
    /// The sum over the elements, the mean over the samples: the divergence.
    Batchmean,
    /// The sum.
    Sum,
}

/// `t (log t - x)` over all elements, for logarithms `x` of probabilities and probabilities `t`, 0 where
/// `t` is 0; with `log_target` `e^t (t - x)` (Kullback and Leibler, "On Information and Sufficiency",
/// 1951). The target is f32 of the output's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KlDiv {
    /// Whether the target is the logarithm of probabilities; default false.
    #[serde(default)]
    pub log_target: bool,
    /// How the elements become one number: `mean` (default, as in PyTorch), `batchmean` (the
    /// divergence itself) or `sum`.
    #[serde(default)]
    pub reduction: KlReduction,
}

impl Loss for KlDiv {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        let target = cx.target(&dims, DType::F32)?;
        let g = &mut *cx.graph;
        let (probability, log) = match self.log_target {
            true => (g.exp(target)?, target),
            false => {
                let (zero, one) = (g.constant(0.0)?, g.constant(1.0)?);
                let some = g.gt(target, zero)?;
                let safe = g.select(some, target, one)?;
                (target, g.log(safe)?)
            }
        };
        let difference = g.sub(log, output)?;
        let mut losses = g.mul(probability, difference)?;
        if self.reduction == KlReduction::Batchmean {
            let axes: Vec<usize> = (1..dims.len()).collect();
            losses = g.sum(losses, &axes, false)?;
        }
        let reduced = cx.reduce(losses, Loss::reduction(self))?;
        Ok(cx.finish(target, reduced, output))
    }

    fn task(&self) -> Task {
        Task::Regress
    }

    fn reduction(&self) -> Reduction {
        match self.reduction {
            KlReduction::Sum => Reduction::Sum,
            KlReduction::Mean | KlReduction::Batchmean => Reduction::Mean,
        }
    }
}
