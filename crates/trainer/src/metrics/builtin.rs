//! The metrics that are part of the library.

use onestep_engine::{DType, Graph, Value};
use onestep_layers::{LayerError, LossValues, Task, accuracy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::{Better, Measured, Metric, Scored};

/// The share of right answers: of the largest logit for classes, of the sign of each output for yes
/// and no.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {}

impl Metric for Accuracy {
    fn name(&self) -> String {
        "accuracy".to_owned()
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        match scored.task {
            Task::Binary => {
                let Some(target) = scored.loss.target else { return Ok(None) };
                let share = accuracy(g, scored.output, target)?;
                Ok(Some(Measured::over_samples(share)))
            }
            Task::Classify { .. } => {
                let Some(target) = label(g, scored)? else { return Ok(None) };
                let class = g.argmax(scored.output, 1)?;
                let class = g.cast(class, DType::F32)?;
                let truth = g.cast(target, DType::F32)?;
                let right = g.eq(class, truth)?;
                share(g, target, right).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The share of samples whose class is among the `k` with the largest logits. A class must beat
/// others, not merely equal them, as in [`TopK`](crate::TopK).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopKAccuracy {
    /// How many classes a sample may name; default 5.
    #[serde(default = "five")]
    pub k: usize,
}

fn five() -> usize {
    5
}

impl Metric for TopKAccuracy {
    fn name(&self) -> String {
        format!("top{}", self.k)
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Task::Classify { .. } = scored.task else { return Ok(None) };
        let Some(target) = label(g, scored)? else { return Ok(None) };
        let ahead = ahead(g, scored.output, target)?;
        let most = g.constant(self.k as f32)?;
        let hit = g.lt(ahead, most)?;
        share(g, target, hit).map(Some)
    }
}

/// The share of samples of which every label is right, as of a text that is written down whole. Labels
/// below 0 stand for nothing; of one label a sample it is the accuracy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExactMatch {}

impl Metric for ExactMatch {
    fn name(&self) -> String {
        "exact_match".to_owned()
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Task::Classify { .. } = scored.task else { return Ok(None) };
        let Some(target) = label(g, scored)? else { return Ok(None) };
        let class = g.argmax(scored.output, 1)?;
        let class = g.cast(class, DType::F32)?;
        let truth = g.cast(target, DType::F32)?;
        let right = g.eq(class, truth)?;
        let one = g.constant(1.0)?;
        let wrong = g.sub(one, right)?;
        let (counts, _) = counted(g, target)?;
        let wrong = g.mul(wrong, counts)?;
        let axes: Vec<usize> = (1..g.shape(wrong).rank()).collect();
        let wrong = if axes.is_empty() { wrong } else { g.sum(wrong, &axes, false)? };
        let right = g.lt(wrong, one)?;
        Ok(Some(Measured::over_samples(g.mean_all(right)?)))
    }
}

/// The labels i32 `[n, ...]`: those fed, or the most probable class of probabilities that are.
fn label(g: &mut Graph, scored: &Scored) -> Result<Option<Value>, LayerError> {
    let Some(target) = scored.loss.target else { return Ok(None) };
    match g.type_of(target).dtype {
        DType::I32 => Ok(Some(target)),
        _ => Ok(Some(g.argmax(target, 1)?)),
    }
}

/// The share of the labels that `hits` is 1 for. Where there are several a sample, some may stand for
/// nothing (they are below 0) and do not count.
fn share(g: &mut Graph, labels: Value, hits: Value) -> Result<Measured, LayerError> {
    if g.shape(labels).rank() < 2 {
        return Ok(Measured::over_samples(g.mean_all(hits)?));
    }
    let (counts, weight) = counted(g, labels)?;
    let hits = g.mul(hits, counts)?;
    let hits = g.sum_all(hits)?;
    let one = g.constant(1.0)?;
    let divisor = g.max(weight, one)?;
    Ok(Measured { value: g.div(hits, divisor)?, weight: Some(weight) })
}

/// 1 for each label that counts, and how many do.
fn counted(g: &mut Graph, labels: Value) -> Result<(Value, Value), LayerError> {
    let labels = g.cast(labels, DType::F32)?;
    let zero = g.constant(0.0)?;
    let counts = g.ge(labels, zero)?;
    Ok((counts, g.sum_all(counts)?))
}

/// How many other classes have at least the logit of the label, f32 like the labels: logits
/// `[n, classes, ...]`, labels `[n, ...]`.
fn ahead(g: &mut Graph, logits: Value, label: Value) -> Result<Value, LayerError> {
    let dims = g.shape(logits).dims().to_vec();
    let mut column: Vec<usize> = vec![1; dims.len()];
    column[1] = dims[1];
    let numbers: Vec<f32> = (0..dims[1]).map(|class| class as f32).collect();
    let numbers = g.constant_tensor(&column, &numbers)?;
    let mut kept = dims.clone();
    kept[1] = 1;
    let label = g.cast(label, DType::F32)?;
    let label = g.reshape(label, &kept)?;
    let label = g.broadcast(label, &dims)?;
    let own = g.eq(label, numbers)?;
    // Not the product: a logit of -inf in another class, times 0, would be NaN.
    let zero = g.constant(0.0)?;
    let zero = g.broadcast(zero, &dims)?;
    let picked = g.select(own, logits, zero)?;
    let picked = g.sum(picked, &[1], true)?;
    let picked = g.broadcast(picked, &dims)?;
    // What cannot be compared is never behind.
    let behind = g.lt(logits, picked)?;
    let behind = g.sum(behind, &[1], false)?;
    let others = g.scale(behind, -1.0)?;
    Ok(g.offset(others, dims[1] as f32 - 1.0)?)
}

/// The mean of `|output - target|`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanAbsoluteError {}

impl Metric for MeanAbsoluteError {
    fn name(&self) -> String {
        "mean_absolute_error".to_owned()
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Some(error) = error(g, scored)? else { return Ok(None) };
        let error = g.abs(error)?;
        Ok(Some(Measured::over_samples(g.mean_all(error)?)))
    }

    fn target_power(&self) -> i32 {
        1
    }
}

/// The mean of `(output - target)^2`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeanSquaredError {}

impl Metric for MeanSquaredError {
    fn name(&self) -> String {
        "mean_squared_error".to_owned()
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        squared(g, scored)
    }

    fn target_power(&self) -> i32 {
        2
    }
}

/// The root of the mean of `(output - target)^2` over all samples, not the mean of the batches'
/// roots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootMeanSquaredError {}

impl Metric for RootMeanSquaredError {
    fn name(&self) -> String {
        "root_mean_squared_error".to_owned()
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        squared(g, scored)
    }

    fn finish(&self, aggregated: f64) -> f64 {
        aggregated.sqrt()
    }

    fn target_power(&self) -> i32 {
        1
    }
}

/// `e` to the power of the mean cross-entropy of the labels: what a language model is measured by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Perplexity {}

impl Metric for Perplexity {
    fn name(&self) -> String {
        "perplexity".to_owned()
    }

    fn better(&self) -> Better {
        Better::Lower
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Some(target) = scored.loss.target else { return Ok(None) };
        let integers = g.type_of(target).dtype == DType::I32;
        if !matches!(scored.task, Task::Classify { .. }) || !integers {
            return Ok(None);
        }
        // The plain cross-entropy, whatever weights and smoothing the loss has.
        let dims = g.shape(scored.output).dims().to_vec();
        let axes: Vec<usize> = [0].into_iter().chain(2..dims.len()).chain([1]).collect();
        let rows = g.permute(scored.output, &axes)?;
        let count = g.shape(target).elements();
        let rows = g.reshape(rows, &[count, dims[1]])?;
        let labels = g.reshape(target, &[count])?;
        if g.shape(target).rank() < 2 {
            let each = g.cross_entropy(rows, labels, 0.0)?;
            return Ok(Some(Measured::over_samples(g.mean_all(each)?)));
        }
        // A label that stands for nothing is taken for the first class, and then counts for nothing.
        let (counts, weight) = counted(g, labels)?;
        let numbers = g.cast(labels, DType::F32)?;
        let zero = g.constant(0.0)?;
        let numbers = g.max(numbers, zero)?;
        let known = g.cast(numbers, DType::I32)?;
        let each = g.cross_entropy(rows, known, 0.0)?;
        let each = g.mul(each, counts)?;
        let sum = g.sum_all(each)?;
        let one = g.constant(1.0)?;
        let divisor = g.max(weight, one)?;
        Ok(Some(Measured { value: g.div(sum, divisor)?, weight: Some(weight) }))
    }

    fn finish(&self, aggregated: f64) -> f64 {
        aggregated.exp()
    }
}

/// The mean over the samples of what two regions have in common over what either covers (Jaccard's index): of
/// the elements whose logit is above 0, and those whose target is above a half. Where both are empty it is 1.
/// It is defined for yes and no in more than one place a sample, such as masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntersectionOverUnion {}

impl Metric for IntersectionOverUnion {
    fn name(&self) -> String {
        "iou".to_owned()
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Some(target) = scored.loss.target else { return Ok(None) };
        let (output, truth) = (g.type_of(scored.output), g.type_of(target));
        let of_regions = output.shape.rank() > 2 && output == truth && truth.dtype == DType::F32;
        if scored.task != Task::Binary || !of_regions {
            return Ok(None);
        }
        let axes: Vec<usize> = (1..output.shape.rank()).collect();
        let (zero, half) = (g.constant(0.0)?, g.constant(0.5)?);
        let said = g.gt(scored.output, zero)?;
        let truth = g.gt(target, half)?;
        let mut count = |region: Value| g.sum(region, &axes, false);
        let (said_count, truth_count) = (count(said)?, count(truth)?);
        let common = g.mul(said, truth)?;
        let common = g.sum(common, &axes, false)?;
        let both = g.add(said_count, truth_count)?;
        let either = g.sub(both, common)?;
        // Two empty regions agree.
        let empty = g.eq(either, zero)?;
        let common = g.add(common, empty)?;
        let either = g.add(either, empty)?;
        let share = g.div(common, either)?;
        Ok(Some(Measured::over_samples(g.mean_all(share)?)))
    }
}

fn squared(g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
    let Some(error) = error(g, scored)? else { return Ok(None) };
    let square = g.square(error)?;
    Ok(Some(Measured::over_samples(g.mean_all(square)?)))
}

/// `output - target`, where the target is of the output's kind and they are not logits.
fn error(g: &mut Graph, scored: &Scored) -> Result<Option<Value>, LayerError> {
    let LossValues { target: Some(target), .. } = scored.loss else { return Ok(None) };
    if scored.task != Task::Regress || g.type_of(target) != g.type_of(scored.output) {
        return Ok(None);
    }
    Ok(Some(g.sub(scored.output, target)?))
}
