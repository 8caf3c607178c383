//! Measuring a model on data it does not learn from.

use std::sync::Arc;

use onestep_data::{DataLoader, Dataset, TargetSpec};
use onestep_engine::{Feeds, Mode};
use onestep_memory::Tensor;
use serde::{Deserialize, Serialize};

use super::Trainer;
use super::flight::{Flight, Pending};
use super::predict::largest;
use crate::TrainerError;
use crate::metrics::{ConfusionMatrix, Counted, Meter, Metrics, TopK};
use crate::program::TargetKind;

/// How good a model is on a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Samples of the data set.
    pub samples: u64,
    /// Means over the samples.
    #[serde(flatten)]
    pub metrics: Metrics,
    /// Top-k accuracy, for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<TopK>,
    /// Which classes were taken for which, for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<ConfusionMatrix>,
}

impl Trainer {
    /// Measures loss, accuracy, top-k accuracy and confusion matrix (or the mean absolute error)
    /// on a data set, whose classes are matched with the model's by their names: in its order,
    /// without dropout, with running statistics, without the transforms for training. Training can
    /// go on afterwards as if nothing had happened.
    ///
    /// The outputs of each batch are read back, so that the host waits for each.
    ///
    /// # Errors
    /// A data set that does not fit the model or has a class that it does not know, a sample that
    /// cannot be read, and the engine's errors.
    pub fn evaluate(&mut self, dataset: Arc<dyn Dataset>) -> Result<Evaluation, TrainerError> {
        let dataset = self.by_name(dataset, self.record.classes.as_deref())?;
        self.collect(true)?;
        let mut answers = self.answers(dataset.as_ref());
        let mut loader = self.evaluation_loader(dataset)?;
        let meter = self.run_evaluation(&mut loader, |trainer, target| match &mut answers {
            Some(answers) => {
                let name = trainer.learner.program().output().to_owned();
                let output = trainer.learner.read_last(Mode::Evaluate, &name)?;
                answers.add(&output, &target.read()?);
                Ok(())
            }
            None => Ok(()),
        })?;
        let (top_k, confusion) = answers.map(|a| (a.top_k, a.confusion)).unzip();
        let metrics = self.metrics(&meter);
        Ok(Evaluation { samples: meter.samples, metrics, top_k, confusion })
    }

    /// Loss and metric alone, from tickets: the host waits for none of the batches.
    pub(super) fn validate(&mut self, loader: &mut DataLoader) -> Result<Metrics, TrainerError> {
        let meter = self.run_evaluation(loader, |_, _| Ok(()))?;
        Ok(self.metrics(&meter))
    }

    fn run_evaluation(
        &mut self,
        loader: &mut DataLoader,
        mut visit: impl FnMut(&mut Trainer, &Tensor) -> Result<(), TrainerError>,
    ) -> Result<Meter, TrainerError> {
        let binding = self.bind(loader.dataset(), Mode::Evaluate)?;
        let mut flight = Flight::new(self.config.steps_in_flight, self.figures().clone());
        let mut meter = Meter::default();
        let mut tensors = binding.room();
        for batch in loader.epoch(0) {
            let batch = batch?;
            binding.take(&batch, &mut tensors);
            let feeds =
                Feeds { staged: Some(batch.staged()), names: &binding.names, tensors: &tensors };
            let ticket = self.learner.evaluate(feeds)?;
            // The targets stand behind the inputs.
            let target = tensors.get(self.learner.program().model_inputs()).cloned();
            tensors.clear();
            let place = (self.progress.epoch, batch.index());
            let (batch, step) = (Counted::new(batch.size(), &binding.names), self.progress.step);
            flight.push(Pending { ticket, batch, place, step });
            if let Some(target) = target {
                visit(self, &target)?;
            }
            flight.collect(&mut meter)?;
        }
        flight.drain(&mut meter)?;
        Ok(meter)
    }

    /// Where the answers to a data set are counted, for classification with one label a sample.
    fn answers(&self, dataset: &dyn Dataset) -> Option<Answers> {
        let TargetKind::Labels { shape, classes } = self.target() else { return None };
        let TargetSpec::Classes { names } = dataset.target() else { return None };
        if shape.rank() != 0 || self.learner.program().output_shape().rank() != 1 {
            return None;
        }
        // A model may know more classes than the data.
        let more = (names.len()..*classes).map(|class| class.to_string());
        let names: Vec<String> = names.iter().cloned().chain(more).collect();
        Some(Answers {
            top_k: TopK::new(self.config.top_k.min(*classes)),
            confusion: ConfusionMatrix::new(names),
            classes: *classes,
        })
    }
}

/// Counts what a classifier says.
struct Answers {
    top_k: TopK,
    confusion: ConfusionMatrix,
    classes: usize,
}

impl Answers {
    /// Counts a batch of logits `[n, classes]` and labels `[n]`.
    fn add(&mut self, output: &[f32], labels: &[i32]) {
        for (scores, &label) in output.chunks_exact(self.classes.max(1)).zip(labels) {
            let Ok(label) = usize::try_from(label) else { continue };
            self.top_k.add(scores, label);
            self.confusion.add(label, largest(scores));
        }
    }
}
