//! Connectionist temporal classification.

use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduced, Reduction, Task};
use crate::error::LayerError;

/// The negative logarithm of the probability that steps say a string of labels, each step a class or `blank`,
/// summed over all ways to place the string in them (Graves et al., "Connectionist Temporal Classification",
/// 2006, equations 6 to 8).
///
/// The output is `[batch, steps, classes]`: logits, or log-probabilities, which are their own log-softmax, and
/// get the same gradient as from PyTorch, which takes that of the logits. The target is i32 `[batch, length]`,
/// its strings padded behind with -1 or with `blank`. A second output says how many steps of each sample count,
/// i32 or f32 `[batch]` or `[batch, 1]`; without it all do. A mean divides each loss by the length of its
/// string, at least 1, and then takes the mean over the samples, as PyTorch does; a sum does neither.
///
/// The loss of a string that is too long for its steps is infinite, or 0 with `zero_infinity`; its gradient is
/// 0 either way, where PyTorch without the option says NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ctc {
    /// The class that stands for no label; default 0.
    #[serde(default)]
    pub blank: usize,
    /// The labels of the longest string, which targets are padded to; default as many as steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Whether infinite losses count as 0; default false.
    #[serde(default)]
    pub zero_infinity: bool,
    /// How the samples become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl Ctc {
    /// How many labels each string has, `[batch]`.
    fn lengths(&self, g: &mut Graph, target: Value) -> Result<Value, GraphError> {
        let labels = g.cast(target, DType::F32)?;
        let (blank, zero) = (g.constant(self.blank as f32)?, g.constant(0.0)?);
        let other = g.ne(labels, blank)?;
        let known = g.ge(labels, zero)?;
        let counts = g.mul(known, other)?;
        g.sum(counts, &[1], false)
    }

    fn check(&self, cx: &LossContext<'_>) -> Result<(), LayerError> {
        let dims = cx.dims();
        let &[batch, steps, classes] = &dims[..] else {
            let wanted = "an output of [batch, steps, classes]";
            return Err(LayerError::input("ctc", wanted, format!("{dims:?}")));
        };
        if steps == 0 || self.blank >= classes {
            let wanted = format!("below the {classes} classes");
            return Err(LayerError::option("ctc", "blank", wanted, self.blank));
        }
        if self.length == Some(0) {
            return Err(LayerError::option("ctc", "length", "at least 1", 0));
        }
        let Some(&lengths) = cx.outputs().get(1) else { return Ok(()) };
        if cx.graph.shape(lengths).elements() != batch {
            let wanted = format!("a second output of [{batch}]: how many steps count");
            let got = format!("{:?}", cx.graph.shape(lengths).dims());
            return Err(LayerError::input("ctc", wanted, got));
        }
        Ok(())
    }

    fn reduce(
        &self,
        cx: &mut LossContext<'_>,
        losses: Value,
        lengths: Value,
    ) -> Result<Reduced, LayerError> {
        let g = &mut *cx.graph;
        let mut each = losses;
        if self.zero_infinity {
            let (most, zero) = (g.constant(f32::MAX)?, g.constant(0.0)?);
            let impossible = g.gt(losses, most)?;
            each = g.select(impossible, zero, losses)?;
        }
        if self.reduction == Reduction::Mean {
            let one = g.constant(1.0)?;
            let divisor = g.max(lengths, one)?;
            each = g.div(each, divisor)?;
        }
        cx.reduce(each, self.reduction)
    }
}

impl Loss for Ctc {
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        self.check(cx)?;
        let output = cx.output();
        let (batch, steps) = (cx.dims()[0], cx.dims()[1]);
        let target = cx.target(&[batch, self.length.unwrap_or(steps)], DType::I32)?;
        let steps_of = cx.outputs().get(1).copied();
        let g = &mut *cx.graph;
        let steps_of = match steps_of {
            None => None,
            Some(steps) => {
                let steps = g.cast(steps, DType::I32)?;
                Some(g.reshape(steps, &[batch])?)
            }
        };
        let logs = g.log_softmax(output, 2)?;
        let losses = g.ctc(logs, target, steps_of, self.blank)?;
        let lengths = self.lengths(g, target)?;
        let prediction = g.argmax(output, 2)?;
        let reduced = self.reduce(cx, losses, lengths)?;
        Ok(cx.finish(target, reduced, prediction))
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
