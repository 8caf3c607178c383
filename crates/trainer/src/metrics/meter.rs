//! Running means over batches, fed from tickets.

use onestep_engine::{DType, Graph, Named, Value};
use onestep_layers::{LayerError, LossSpec, LossValues, accuracy};
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

/// Sums of loss and metric, each batch weighted by its samples. It is part of a checkpoint in the
/// middle of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meter {
    loss: f64,
    metric: f64,
    pub(crate) samples: u64,
}

impl Meter {
    pub(crate) fn add(&mut self, loss: f32, metric: Option<f32>, samples: usize) {
        self.loss += f64::from(loss) * samples as f64;
        self.metric += f64::from(metric.unwrap_or(0.0)) * samples as f64;
        self.samples += samples as u64;
    }

    /// The means so far; all zero before the first batch.
    pub(crate) fn metrics(&self, kind: MetricKind) -> Metrics {
        let samples = self.samples.max(1) as f64;
        let metric = self.metric / samples;
        Metrics {
            loss: self.loss / samples,
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
        meter.add(1.0, Some(1.0), 3);
        meter.add(3.0, Some(0.0), 1);
        let metrics = meter.metrics(MetricKind::Accuracy);
        assert_eq!((metrics.loss, metrics.accuracy), (1.5, Some(0.75)));
        assert_eq!(meter.metrics(MetricKind::None).accuracy, None);
    }
}
