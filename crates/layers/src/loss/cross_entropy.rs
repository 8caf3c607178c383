//! Cross-entropy of logits against labels or probabilities of classes.

use onestep_engine::{DType, Graph, GraphError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Loss, LossContext, LossValues, Reduced, Reduction, Task, class_weights};
use crate::error::LayerError;

/// The label that does not count where labels are per position, unless another is given.
const IGNORED: i32 = -100;

/// What a target says of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClassTargets {
    /// Which class it is, an i32.
    #[default]
    Labels,
    /// How likely each class is, an f32 each.
    Probabilities,
}

impl ClassTargets {
    fn are_labels(&self) -> bool {
        *self == ClassTargets::Labels
    }
}

/// With `p = log_softmax(output)` over the classes, label `y`, class weights `w` (1 by default) and
/// smoothing `e`, the loss of a row is `-(1 - e) w_y p_y - e/C sum_c w_c p_c` (Szegedy et al.,
/// "Rethinking the Inception Architecture", 2016, section 7). The mean divides the sum of the rows
/// by the sum of their `w_y`, as PyTorch does.
///
/// The output is `[n, classes]` or `[n, classes, ...]`; the target is i32 `[n]` or `[n, ...]`. A
/// label outside the classes makes the loss NaN, but for `ignore_index`: rows with that count neither
/// in the sum nor in what it is divided by. Where nothing is left that counts the mean is 0 with
/// gradients of 0; PyTorch says NaN there.
///
/// With probabilities as target, f32 of the output's shape, the loss of a row is
/// `-sum_c w_c t_c p_c` with `t` smoothed likewise, and the mean divides by the number of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// What the target says: `labels` (default) or `probabilities`.
    #[serde(default, skip_serializing_if = "ClassTargets::are_labels")]
    pub target: ClassTargets,
    /// The label that does not count. By default -100 where there are labels per position, and none
    /// where there is one label a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_index: Option<i32>,
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
        let smoothing = self.label_smoothing;
        if !(0.0..=1.0).contains(&smoothing) {
            let wanted = "in [0, 1]";
            return Err(LayerError::option("cross_entropy", "label_smoothing", wanted, smoothing));
        }
        class_weights("cross_entropy", self.weight.as_deref(), classes).map(|_| ())
    }

    /// The label that does not count, for labels of so many axes with the batch.
    pub(crate) fn ignored_label(&self, rank: usize) -> Option<i32> {
        self.ignore_index.or((rank > 1).then_some(IGNORED))
    }

    /// Against labels `[rows]` of logits `[rows, classes]`.
    fn against_labels(
        &self,
        cx: &mut LossContext<'_>,
        logits: Value,
        labels: Value,
        ignored: Option<i32>,
    ) -> Result<Reduced, LayerError> {
        let rows = cx.graph.shape(labels).elements();
        let samples = cx.row_weights(rows)?;
        let g = &mut *cx.graph;
        let (labels, kept) = match ignored {
            None => (labels, None),
            Some(ignored) => {
                let (labels, kept) = without(g, labels, ignored)?;
                (labels, Some(kept))
            }
        };
        let classes = match &self.weight {
            None => None,
            Some(weight) => {
                let weight = g.constant_tensor(&[weight.len()], weight)?;
                Some((weight, g.gather(weight, labels)?))
            }
        };
        let mut losses = match classes {
            None => g.cross_entropy(logits, labels, self.label_smoothing)?,
            Some((weight, of_rows)) => self.weighted(g, logits, labels, [weight, of_rows])?,
        };
        if let Some(kept) = kept {
            // Chosen rather than multiplied: what is ignored may be infinite.
            let zero = g.constant(0.0)?;
            losses = g.select(kept, losses, zero)?;
        }
        if let Some(samples) = samples {
            losses = g.mul(losses, samples)?;
        }
        let weights = [kept, classes.map(|(_, of_rows)| of_rows), samples].into_iter().flatten();
        let mut total = None;
        for weight in weights {
            total = Some(match total {
                None => weight,
                Some(total) => g.mul(total, weight)?,
            });
        }
        match total {
            None => cx.reduce_by(losses, None, self.reduction),
            Some(total) => cx.divide(losses, total, self.reduction),
        }
    }

    /// The losses of rows with `[a weight a class, those of the labels]`.
    fn weighted(
        &self,
        g: &mut Graph,
        logits: Value,
        labels: Value,
        [weight, of_rows]: [Value; 2],
    ) -> Result<Value, GraphError> {
        // Not the product with rows of zeros and a one: a logit of -inf in another class, times 0,
        // would be NaN.
        let picked = g.cross_entropy(logits, labels, 0.0)?;
        let picked = g.mul(picked, of_rows)?;
        let losses = g.scale(picked, 1.0 - self.label_smoothing)?;
        if self.label_smoothing == 0.0 {
            return Ok(losses);
        }
        let classes = g.shape(weight).elements();
        let logs = g.log_softmax(logits, 1)?;
        let spread = g.mul(logs, weight)?;
        let spread = g.sum(spread, &[1], false)?;
        let spread = g.scale(spread, self.label_smoothing / classes as f32)?;
        g.sub(losses, spread)
    }

    /// Against probabilities `[rows, classes]`.
    fn against_probabilities(
        &self,
        cx: &mut LossContext<'_>,
        logits: Value,
        target: Value,
    ) -> Result<Reduced, LayerError> {
        let (rows, classes) = (cx.graph.shape(logits).dims()[0], cx.graph.shape(logits).dims()[1]);
        let samples = cx.row_weights(rows)?;
        let g = &mut *cx.graph;
        let mut target = target;
        if self.label_smoothing > 0.0 {
            target = g.scale(target, 1.0 - self.label_smoothing)?;
            target = g.offset(target, self.label_smoothing / classes as f32)?;
        }
        let logs = g.log_softmax(logits, 1)?;
        let mut products = g.mul(logs, target)?;
        if let Some(weight) = &self.weight {
            let weight = g.constant_tensor(&[classes], weight)?;
            products = g.mul(products, weight)?;
        }
        let sums = g.sum(products, &[1], false)?;
        let losses = g.neg(sums)?;
        cx.reduce_by(losses, samples, self.reduction)
    }
}

/// Labels with 0 in place of `ignored`, and 1 where they count, else 0.
pub(super) fn without(
    g: &mut Graph,
    labels: Value,
    ignored: i32,
) -> Result<(Value, Value), GraphError> {
    let numbers = g.cast(labels, DType::F32)?;
    let ignored = g.constant(ignored as f32)?;
    let kept = g.ne(numbers, ignored)?;
    let counted = g.mul(numbers, kept)?;
    Ok((g.cast(counted, DType::I32)?, kept))
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
    fn build(&self, cx: &mut LossContext<'_>) -> Result<LossValues, LayerError> {
        let (output, dims) = (cx.output(), cx.dims());
        if dims.len() < 2 {
            let wanted = "logits of [batch, classes] or [batch, classes, ...]";
            return Err(LayerError::input("cross_entropy", wanted, format!("{dims:?}")));
        }
        self.check(dims[1])?;
        let logits = rows(cx.graph, output)?;
        let (target, reduced) = match self.target {
            ClassTargets::Labels => {
                let label_dims = [&dims[..1], &dims[2..]].concat();
                let target = cx.target(&label_dims, DType::I32)?;
                let labels = cx.graph.reshape(target, &[label_dims.iter().product()])?;
                let ignored = self.ignored_label(label_dims.len());
                (target, self.against_labels(cx, logits, labels, ignored)?)
            }
            ClassTargets::Probabilities => {
                let target = cx.target(&dims, DType::F32)?;
                let probabilities = rows(cx.graph, target)?;
                (target, self.against_probabilities(cx, logits, probabilities)?)
            }
        };
        let prediction = cx.graph.argmax(output, 1)?;
        Ok(cx.finish(target, reduced, prediction))
    }

    fn task(&self) -> Task {
        Task::Classify { axis: 1 }
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}
