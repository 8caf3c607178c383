//! Cross-entropy of logits against integer labels.

use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossValues, Reduction};
use crate::error::LayerError;

/// With `p = log_softmax(output)` over the classes, label `y`, class weights `w` (1 by default) and
/// smoothing `e`, the loss of a row is `-(1 - e) w_y p_y - e/C sum_c w_c p_c` (Szegedy et al.,
/// "Rethinking the Inception Architecture", 2016, section 7). The mean divides the sum of the rows
/// by the sum of their `w_y`, as PyTorch does.
///
/// The output is `[n, classes]` or `[n, classes, ...]`; the target is i32 `[n]` or `[n, ...]`. A
/// label outside the classes makes the loss NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// The share of the target spread over all classes, in `[0, 1]`; default 0.
    #[serde(default)]
    pub label_smoothing: f32,
    /// One weight a class; default 1 each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Vec<f32>>,
    /// How the elements become one number: `mean` (default) or `sum`.
    #[serde(default, skip_serializing_if = "Reduction::is_mean")]
    pub reduction: Reduction,
}

impl CrossEntropy {
    fn check(&self, classes: usize) -> Result<(), LayerError> {
        let error = |option, wanted: String, got: String| {
            Err(LayerError::option("cross_entropy", option, wanted, got))
        };
        let smoothing = self.label_smoothing;
        if !(0.0..=1.0).contains(&smoothing) {
            return error("label_smoothing", "in [0, 1]".into(), smoothing.to_string());
        }
        let Some(weight) = &self.weight else { return Ok(()) };
        if weight.len() != classes {
            let wanted = format!("one number for each of {classes} classes");
            return error("weight", wanted, weight.len().to_string());
        }
        match weight.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            Some(bad) => error("weight", "finite and at least 0".into(), bad.to_string()),
            None => Ok(()),
        }
    }

    /// What the mean divides by where classes have weights: those of the labels, summed.
    pub(super) fn total_weight(
        &self,
        g: &mut Graph,
        target: Value,
    ) -> Result<Option<Value>, GraphError> {
        let Some(weight) = &self.weight else { return Ok(None) };
        let weight = g.constant_tensor(&[weight.len()], weight)?;
        let labels = g.shape(target).elements();
        let labels = g.reshape(target, &[labels])?;
        let weights = g.gather(weight, labels)?;
        g.sum_all(weights).map(Some)
    }

    /// The loss of logits `[rows, classes]` with a weight a class.
    fn weighted(
        &self,
        g: &mut Graph,
        logits: Value,
        labels: Value,
        weight: &[f32],
    ) -> Result<Value, GraphError> {
        let classes = weight.len();
        let weight = g.constant_tensor(&[classes], weight)?;
        // Not the product with rows of zeros and a one: a logit of -inf in another class, times 0,
        // would be NaN.
        let picked = g.cross_entropy(logits, labels, 0.0)?;
        let row_weight = g.gather(weight, labels)?;
        let picked = g.mul(picked, row_weight)?;
        let mut losses = g.scale(picked, 1.0 - self.label_smoothing)?;
        if self.label_smoothing > 0.0 {
            let logs = g.log_softmax(logits, 1)?;
            let spread = g.mul(logs, weight)?;
            let spread = g.sum(spread, &[1], false)?;
            let spread = g.scale(spread, self.label_smoothing / classes as f32)?;
            losses = g.sub(losses, spread)?;
        }
        let sum = g.sum_all(losses)?;
        match self.reduction {
            Reduction::Sum => Ok(sum),
            Reduction::Mean => {
                let total = g.sum_all(row_weight)?;
                g.div(sum, total)
            }
        }
    }
}

/// Logits `[n, c, ...]` as `[rows, c]`.
fn rows(g: &mut Graph, logits: Value) -> Result<Value, GraphError> {
    let dims = g.shape(logits).dims().to_vec();
    let axes: Vec<usize> = [0].into_iter().chain(2..dims.len()).chain([1]).collect();
    let last = g.permute(logits, &axes)?;
    let count = axes[..dims.len() - 1].iter().map(|&axis| dims[axis]).product();
    g.reshape(last, &[count, dims[1]])
}

impl Loss for CrossEntropy {
    fn build(&self, g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
        let dims = g.shape(output).dims().to_vec();
        if dims.len() < 2 {
            let wanted = "logits of [batch, classes] or [batch, classes, ...]";
            return Err(LayerError::input("cross_entropy", wanted, format!("{dims:?}")));
        }
        self.check(dims[1])?;
        let label_dims = [&dims[..1], &dims[2..]].concat();
        let target = g.input("target", &label_dims, DType::I32)?;
        let logits = rows(g, output)?;
        let labels = g.reshape(target, &[label_dims.iter().product()])?;
        let loss = match &self.weight {
            Some(weight) => self.weighted(g, logits, labels, weight)?,
            None => {
                let losses = g.cross_entropy(logits, labels, self.label_smoothing)?;
                self.reduction.apply(g, losses)?
            }
        };
        Ok(LossValues { target, loss, prediction: g.argmax(output, 1)? })
    }
}
