//! Running means over batches, fed from tickets.

use std::sync::Arc;

use onestep_engine::{Graph, Named};
use onestep_layers::{Averaging, LayerError, Task, WEIGHT};
use serde::{Deserialize, Serialize};

use super::metric::{Aggregate, Better, Metric, Scored, task_of};
use super::values::{MOST_METRICS, Metrics};

/// The name of the report that says what the loss of a batch was divided by.
const LOSS_WEIGHT: &str = "loss_weight";

/// What the loss of a batch counts for: [`Averaging`] with the place of the weight in the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LossShare {
    /// The samples; where they have weights, the sum of those, which is then reported at this place, behind
    /// the metrics.
    Samples(usize),
    Weight(usize),
    Sum,
}

/// What the scalars that a step reports are: the loss first, then the metrics by their places.
#[derive(Clone)]
pub(crate) struct Figures {
    task: Task,
    loss: LossShare,
    names: Arc<[String]>,
    metrics: Arc<[Figure]>,
}

/// A metric that is reported.
struct Figure {
    name: String,
    metric: Arc<dyn Metric>,
    aggregate: Aggregate,
    value: usize,
    weight: Option<usize>,
}

impl Figures {
    /// Appends the metrics of each output to a graph: `(its name, what it is computed from)`. Those that
    /// are not defined for what it is asked to do are left out. Of several outputs a metric has the
    /// output's name before its own.
    pub(crate) fn build(
        metrics: &[Arc<dyn Metric>],
        g: &mut Graph,
        outputs: &[(&str, Scored)],
        averaging: Averaging,
    ) -> Result<(Figures, Vec<Named>), LayerError> {
        let mut reports: Vec<Named> = Vec::new();
        let mut report = |name: String, value| {
            reports.push(Named::new(name, value));
            // The loss is the first of a ticket.
            reports.len()
        };
        let mut figures: Vec<Figure> = Vec::new();
        let several = outputs.len() > 1;
        let mut task = Task::Other;
        for (place, (output, scored)) in outputs.iter().enumerate() {
            let own = task_of(g, scored.output, &scored.loss, scored.task);
            task = if place == 0 { own } else { task };
            let scored = Scored { task: own, ..*scored };
            for metric in metrics {
                let name = metric.name();
                let name = if several { format!("{output}_{name}") } else { name };
                if figures.len() == MOST_METRICS || figures.iter().any(|f| f.name == name) {
                    continue;
                }
                let Some(measured) = metric.report(g, &scored)? else { continue };
                let value = report(name.clone(), measured.value);
                let weight = measured.weight.map(|weight| report(format!("{name}_weight"), weight));
                let (metric, aggregate) = (Arc::clone(metric), metric.aggregate());
                figures.push(Figure { name, metric, aggregate, value, weight });
            }
        }
        let loss = match averaging {
            Averaging::Samples => LossShare::Samples(reports.len() + 1),
            Averaging::Sum => LossShare::Sum,
            Averaging::Weight(weight) => LossShare::Weight(report(LOSS_WEIGHT.to_owned(), weight)),
        };
        let names = figures.iter().map(|figure| figure.name.clone()).collect();
        Ok((Figures { task, loss, names, metrics: figures.into() }, reports))
    }

    /// What the model is asked to do.
    pub(crate) fn task(&self) -> Task {
        self.task
    }

    /// The names of the metrics that are reported.
    pub(crate) fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    /// Whether a metric is reported, of whatever output.
    pub(crate) fn has(&self, metric: &str) -> bool {
        self.metrics.iter().any(|figure| figure.metric.name() == metric)
    }

    /// Which figures of a metric, or of the loss, are the better ones; `None` where it is not
    /// reported.
    pub(crate) fn better(&self, name: &str) -> Option<Better> {
        if name == "loss" {
            return Some(Better::Lower);
        }
        let place = self.names.iter().position(|own| own == name)?;
        Some(self.metrics[place].metric.better())
    }
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures").field("task", &self.task).field("names", &self.names).finish()
    }
}

/// How much a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) samples: usize,
    /// Whether the samples have weights.
    pub(crate) weighted: bool,
}

impl Counted {
    /// A batch of so many samples whose fields have these names.
    pub(crate) fn new(samples: usize, fields: &[String]) -> Self {
        Counted { samples, weighted: fields.iter().any(|name| name == WEIGHT) }
    }
}

/// Sums of loss and metrics over batches, so that a whole does not depend on how it is cut into
/// them: a mean is weighted by what it was divided by. It is part of a checkpoint in the middle of
/// an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meter {
    loss: f64,
    /// What the mean of the losses is divided by; not known of checkpoints of the first format.
    #[serde(default = "unknown")]
    weight: f64,
    /// The one metric of checkpoints of the first two formats.
    #[serde(default, skip_serializing)]
    metric: Option<f64>,
    #[serde(default)]
    sums: [f64; MOST_METRICS],
    #[serde(default)]
    weights: [f64; MOST_METRICS],
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
        if let Some(metric) = self.metric.take() {
            (self.sums[0], self.weights[0]) = (metric, self.samples as f64);
        }
    }

    /// Takes in the scalars that a step has reported.
    pub(crate) fn add(&mut self, figures: &Figures, values: &[f32], batch: Counted) {
        let count = batch.samples as f64;
        let reported = |place: usize| values.get(place).map_or(f64::NAN, |&v| f64::from(v));
        for (place, figure) in figures.metrics.iter().enumerate().take(MOST_METRICS) {
            let first = self.weights[place] == 0.0;
            let weight = figure.weight.map_or(count, reported);
            let (value, sum) = (reported(figure.value), &mut self.sums[place]);
            match figure.aggregate {
                // A batch without weight has no mean, and no share in the whole.
                Aggregate::Mean if weight == 0.0 => {}
                Aggregate::Mean => *sum += value * weight,
                Aggregate::Sum => *sum += value,
                Aggregate::Max => *sum = if first { value } else { sum.max(value) },
                Aggregate::Min => *sum = if first { value } else { sum.min(value) },
            }
            self.weights[place] += weight;
        }
        let loss = reported(0);
        self.samples += batch.samples as u64;
        match figures.loss {
            LossShare::Samples(_) if !batch.weighted => {
                (self.loss, self.weight) = (self.loss + loss * count, self.weight + count)
            }
            LossShare::Sum => (self.loss, self.weight) = (self.loss + loss, 1.0),
            LossShare::Samples(place) | LossShare::Weight(place) => match reported(place) {
                0.0 => {}
                weight => {
                    (self.loss, self.weight) = (self.loss + loss * weight, self.weight + weight);
                }
            },
        }
    }

    /// The loss and the metrics so far, all zero before the first batch: the loss in `loss_unit`s,
    /// what is in a power of the targets' unit in that of `target_unit`.
    pub(crate) fn metrics(&self, figures: &Figures, loss_unit: f64, target_unit: f64) -> Metrics {
        let mut values = [0.0; MOST_METRICS];
        for (place, figure) in figures.metrics.iter().enumerate().take(MOST_METRICS) {
            let (sum, weight) = (self.sums[place], self.weights[place]);
            let whole = match figure.aggregate {
                Aggregate::Mean if weight > 0.0 => sum / weight,
                _ => sum,
            };
            let unit = target_unit.powi(figure.metric.target_power());
            values[place] = figure.metric.finish(whole) * unit;
        }
        let loss = if self.weight > 0.0 { self.loss / self.weight } else { self.loss };
        Metrics::of(loss * loss_unit, &figures.names, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Accuracy, Measured};

    fn figures(loss: LossShare, metrics: Vec<(Arc<dyn Metric>, Aggregate, usize)>) -> Figures {
        let names = metrics.iter().map(|(metric, ..)| metric.name()).collect();
        let of = |(metric, aggregate, value): (Arc<dyn Metric>, _, _)| Figure {
            name: metric.name(),
            metric,
            aggregate,
            value,
            weight: None,
        };
        let metrics = metrics.into_iter().map(of).collect();
        Figures { task: Task::Classify { axis: 1 }, loss, names, metrics }
    }

    fn accuracy(loss: LossShare) -> Figures {
        figures(loss, vec![(Arc::new(Accuracy {}), Aggregate::Mean, 1)])
    }

    fn plain(samples: usize) -> Counted {
        Counted { samples, weighted: false }
    }

    #[test]
    fn a_short_batch_weighs_less_whatever_is_reported_besides() {
        let mut meter = Meter::default();
        let figures = accuracy(LossShare::Samples(2));
        meter.add(&figures, &[1.0, 1.0, 7.0], plain(3));
        meter.add(&figures, &[3.0, 0.0, 8.0], plain(1));
        let metrics = meter.metrics(&figures, 1.0, 1.0);
        assert_eq!((metrics.loss, metrics.accuracy()), (1.5, Some(0.75)));
    }

    #[test]
    fn a_weighted_mean_counts_its_weights_and_a_sum_adds() {
        // Of classes, and of samples.
        for share in [LossShare::Weight(2), LossShare::Samples(2)] {
            let weighted = accuracy(share);
            let mut meter = Meter::default();
            let batch = |samples| Counted { samples, weighted: true };
            meter.add(&weighted, &[1.0, 1.0, 9.0], batch(1));
            meter.add(&weighted, &[f32::NAN, 0.0, 0.0], batch(1));
            meter.add(&weighted, &[5.0, 0.0, 3.0], batch(2));
            let metrics = meter.metrics(&weighted, 1.0, 1.0);
            assert_eq!((metrics.loss, metrics.accuracy()), (2.0, Some(0.25)));
        }

        let sum = figures(LossShare::Sum, Vec::new());
        let mut meter = Meter::default();
        meter.add(&sum, &[1.5], plain(3));
        meter.add(&sum, &[2.0], plain(1));
        assert_eq!(meter.metrics(&sum, 1.0, 1.0), Metrics::new(3.5));
    }

    struct Largest;

    impl Metric for Largest {
        fn name(&self) -> String {
            "largest".into()
        }
        fn better(&self) -> Better {
            Better::Higher
        }
        fn report(&self, _: &mut Graph, _: &Scored) -> Result<Option<Measured>, LayerError> {
            Ok(None)
        }
        fn finish(&self, aggregated: f64) -> f64 {
            aggregated * 10.0
        }
        fn target_power(&self) -> i32 {
            2
        }
    }

    #[test]
    fn extremes_are_kept_finished_and_brought_to_their_units() {
        for (aggregate, wanted) in
            [(Aggregate::Max, 3.0), (Aggregate::Min, -2.0), (Aggregate::Sum, 0.0)]
        {
            let figures = figures(LossShare::Samples(2), vec![(Arc::new(Largest), aggregate, 1)]);
            let mut meter = Meter::default();
            for value in [-1.0, -2.0, 3.0] {
                meter.add(&figures, &[1.0, value], plain(4));
            }
            let metrics = meter.metrics(&figures, 2.0, 3.0);
            assert_eq!((metrics.loss, metrics.get("largest")), (2.0, Some(wanted * 90.0)));
        }
    }
}
