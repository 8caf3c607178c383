//! Running means over batches, fed from tickets.

use onestep_engine::{DType, Graph, Named, Value};
use onestep_layers::{Averaging, LayerError, LossSpec, LossValues, accuracy};
use serde::{Deserialize, Serialize};

use crate::history::Metrics;

/// What a step reports besides its loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// Nothing: a loss of one's own whose target is of a form we do not know.
    None,
    /// The share of right answers.
    Accuracy,
    /// The mean of `|output - target|`.
    MeanAbsoluteError,
}

impl MetricKind {
    /// What suits a loss.
    pub(crate) fn of(loss: &LossSpec, g: &Graph, values: &LossValues, output: Value) -> Self {
        let target = g.type_of(values.target);
        let same_shape = g.type_of(output) == target;
        match loss {
            LossSpec::CrossEntropy(_) | LossSpec::BceWithLogits(_) => MetricKind::Accuracy,
            LossSpec::CustomLoss(_) if target.dtype == DType::I32 && target.shape.rank() == 1 => {
                MetricKind::Accuracy
            }
            _ if same_shape => MetricKind::MeanAbsoluteError,
            _ => MetricKind::None,
        }
    }

    /// Appends the metric to the graph of a loss.
    pub(crate) fn report(
        self,
        g: &mut Graph,
        output: Value,
        values: &LossValues,
    ) -> Result<Option<Named>, LayerError> {
        match self {
            MetricKind::None => Ok(None),
            MetricKind::Accuracy => {
                Ok(Some(Named::new("accuracy", accuracy(g, output, values.target)?)))
            }
            MetricKind::MeanAbsoluteError => {
                let error = g.sub(output, values.target)?;
                let error = g.abs(error)?;
                Ok(Some(Named::new("mean_absolute_error", g.mean_all(error)?)))
            }
        }
    }
}

/// What the loss of a batch counts for: [`Averaging`] without the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LossShare {
    Samples,
    Weight,
    Sum,
}

/// What the scalars that a step reports are, in their order: the loss, the metric where there is
/// one, the weight of the loss where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) metric: MetricKind,
    loss: LossShare,
}

impl Figures {
    /// The name of the report that says what the loss of a batch was divided by.
    const LOSS_WEIGHT: &'static str = "loss_weight";

    /// Appends what is reported besides the loss to its graph.
    pub(crate) fn build(
        loss: &LossSpec,
        g: &mut Graph,
        output: Value,
        values: &LossValues,
    ) -> Result<(Figures, Vec<Named>), LayerError> {
        let metric = MetricKind::of(loss, g, values, output);
        let mut reports: Vec<Named> = metric.report(g, output, values)?.into_iter().collect();
        let loss = match loss.averaging(g, values)? {
            Averaging::Samples => LossShare::Samples,
            Averaging::Sum => LossShare::Sum,
            Averaging::Weight(weight) => {
                reports.push(Named::new(Self::LOSS_WEIGHT, weight));
                LossShare::Weight
            }
        };
        Ok((Figures { metric, loss }, reports))
    }
}

/// Sums of loss and metric over batches, so that a whole does not depend on how it is cut into
/// them: a mean is weighted by what it was divided by. It is part of a checkpoint in the middle of
/// an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meter {
    loss: f64,
    /// What the mean of the losses is divided by; not known of checkpoints of the first format.
    #[serde(default = "unknown")]
    weight: f64,
    metric: f64,
    pub(crate) samples: u64,
}

fn unknown() -> f64 {
    f64::NAN
}

impl Meter {
    /// Makes what was read whole: each sample counted the same before weights were kept.
    pub(crate) fn complete(&mut self) {
        if self.weight.is_nan() {
            self.weight = self.samples as f64;
        }
    }

    /// Takes in the scalars that a step has reported.
    pub(crate) fn add(&mut self, figures: Figures, values: &[f32], samples: usize) {
        let count = samples as f64;
        let mut reported = values.iter().map(|&value| f64::from(value));
        let loss = reported.next().unwrap_or(f64::NAN);
        if figures.metric != MetricKind::None {
            self.metric += reported.next().unwrap_or(f64::NAN) * count;
        }
        self.samples += samples as u64;
        match figures.loss {
            LossShare::Samples => {
                (self.loss, self.weight) = (self.loss + loss * count, self.weight + count)
            }
            LossShare::Sum => (self.loss, self.weight) = (self.loss + loss, 1.0),
            // A batch of classes without weight has no mean, and no share in the whole.
            LossShare::Weight => match reported.next().unwrap_or(f64::NAN) {
                0.0 => {}
                weight => {
                    (self.loss, self.weight) = (self.loss + loss * weight, self.weight + weight);
                }
            },
        }
    }

    /// The loss and the metric so far; all zero before the first batch.
    pub(crate) fn metrics(&self, kind: MetricKind) -> Metrics {
        let metric = self.metric / self.samples.max(1) as f64;
        let loss = if self.weight > 0.0 { self.loss / self.weight } else { self.loss };
        Metrics {
            loss,
            accuracy: (kind == MetricKind::Accuracy).then_some(metric),
            mean_absolute_error: (kind == MetricKind::MeanAbsoluteError).then_some(metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_batch_weighs_less() {
        let mut meter = Meter::default();
        let figures = Figures { metric: MetricKind::Accuracy, loss: LossShare::Samples };
        meter.add(figures, &[1.0, 1.0], 3);
        meter.add(figures, &[3.0, 0.0], 1);
        let metrics = meter.metrics(MetricKind::Accuracy);
        assert_eq!((metrics.loss, metrics.accuracy), (1.5, Some(0.75)));
        assert_eq!(meter.metrics(MetricKind::None).accuracy, None);
    }

    #[test]
    fn a_weighted_mean_counts_its_weights_and_a_sum_adds() {
        let weighted = Figures { metric: MetricKind::Accuracy, loss: LossShare::Weight };
        let mut meter = Meter::default();
        meter.add(weighted, &[1.0, 1.0, 9.0], 1);
        meter.add(weighted, &[f32::NAN, 0.0, 0.0], 1);
        meter.add(weighted, &[5.0, 0.0, 3.0], 2);
        let metrics = meter.metrics(MetricKind::Accuracy);
        assert_eq!((metrics.loss, metrics.accuracy), (2.0, Some(0.25)));

        let sum = Figures { metric: MetricKind::None, loss: LossShare::Sum };
        let mut meter = Meter::default();
        meter.add(sum, &[1.5], 3);
        meter.add(sum, &[2.0], 1);
        assert_eq!(meter.metrics(MetricKind::None).loss, 3.5);
    }
}
