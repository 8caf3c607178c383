//! Applying a model.

use std::sync::Arc;

use onestep_data::{DataLoader, DataLoaderBuilder, Dataset};
use onestep_engine::{Feeds, Mode};
use onestep_memory::{HostData, Shape};

use super::Trainer;
use crate::TrainerError;
use crate::host::HostFields;

/// What a model says of some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The shape of one answer.
    pub shape: Shape,
    /// The answers one after the other, row-major: logits for a model that is trained with
    /// cross-entropy.
    pub values: Vec<f32>,
}

impl Prediction {
    /// The answers, one a sample.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.shape.elements().max(1))
    }

    /// The class with the largest value, the first of equals, for each sample.
    ///
    /// ```
    /// use onestep_memory::Shape;
    /// let answers = onestep_trainer::Prediction {
    ///     shape: Shape::from([2]),
    ///     values: vec![0.1, 0.9, 0.8, 0.2],
    /// };
    /// assert_eq!(answers.classes(), [1, 0]);
    /// ```
    pub fn classes(&self) -> Vec<usize> {
        self.rows().map(largest).collect()
    }

    /// The softmax of each answer: the probability of each class where the values are logits.
    pub fn probabilities(&self) -> Vec<Vec<f32>> {
        self.rows().map(softmax).collect()
    }
}

/// The place of the largest value, the first of equals; NaN is never the largest.
pub(super) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] || values[best].is_nan() {
            best = place;
        }
    }
    best
}

fn softmax(values: &[f32]) -> Vec<f32> {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = values.iter().map(|value| (value - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

impl Trainer {
    /// Applies the model to host data of any number of samples, in batches of the evaluation's
    /// size: to the one input, or to several by name. The data is what a data set would give: the
    /// transforms that count in evaluation are applied here. Values that were standardised to learn
    /// them come in their own units.
    ///
    /// ```
    /// use onestep_layers::{InputSpec, ModelBuilder};
    /// use onestep_trainer::{Trainer, TrainerConfig, TrainerError};
    ///
    /// let model = ModelBuilder::with_inputs([("a", InputSpec::new([2])), ("b", InputSpec::new([2]))])
    ///     .sum(["a", "b"], "sum")
    ///     .dense(3, true, "fc")
    ///     .build()?;
    /// let mut trainer = Trainer::new(model, TrainerConfig::default())?;
    /// let (a, b) = ([0.1, 0.2, 0.3, 0.4], [1.0; 4]);
    /// let answers = trainer.predict(&[("a", (&a).into()), ("b", (&b).into())])?;
    /// assert_eq!(answers.rows().count(), 2);
    /// # Ok::<(), TrainerError>(())
    /// ```
    ///
    /// # Errors
    /// Data that does not fit the model, by the name of the input, and the engine's errors.
    pub fn predict<'a>(
        &mut self,
        inputs: impl Into<HostFields<'a>>,
    ) -> Result<Prediction, TrainerError> {
        let inputs = inputs.into();
        let program = self.learner.program();
        let samples = program.check_inputs(inputs)?;
        let fields = program.arranged(inputs, None)?;
        let changed = fields.iter().map(|(asked, data)| self.as_the_model_sees(asked, *data));
        let changed = changed.collect::<Result<Vec<_>, TrainerError>>()?;
        self.collect(true)?;
        let names: Vec<String> = fields.iter().map(|(asked, _)| asked.name.clone()).collect();
        let size = self.config.evaluation_batch_size();
        let (mut values, mut tensors) = (Vec::new(), Vec::new());
        for first in (0..samples).step_by(size.max(1)) {
            let count = size.min(samples - first);
            for ((asked, data), changed) in fields.iter().zip(&changed) {
                let data = changed.as_deref().map_or(*data, HostData::F32);
                let each = asked.shape.elements();
                let part = data.part(first * each..(first + count) * each);
                let shape = asked.shape.with_batch(count)?;
                tensors.push(part.upload(self.learner.memory(), shape)?);
            }
            values.extend(self.learner.predict(Feeds::named(&names, &tensors))?);
            tensors.clear();
        }
        self.restore_units(&mut values);
        Ok(Prediction { shape: self.learner.program().output_shape().clone(), values })
    }

    /// Applies the model to a data set, with the transforms that count in evaluation. Its targets
    /// are not looked at beyond their being readable, and probabilities where the loss wants them.
    ///
    /// # Errors
    /// A data set that does not fit the model, a sample that cannot be read, and the engine's
    /// errors.
    pub fn predict_dataset(
        &mut self,
        dataset: Arc<dyn Dataset>,
    ) -> Result<Prediction, TrainerError> {
        let binding = self.bind(&dataset, Mode::Predict)?;
        self.collect(true)?;
        let mut loader = self.evaluation_loader(dataset)?;
        let (mut values, mut tensors) = (Vec::new(), binding.room());
        for batch in loader.epoch(0) {
            let batch = batch?;
            binding.take(&batch, &mut tensors);
            values.extend(self.learner.predict(Feeds::named(&binding.names, &tensors))?);
            tensors.clear();
        }
        self.restore_units(&mut values);
        Ok(Prediction { shape: self.learner.program().output_shape().clone(), values })
    }

    /// A loader that reads a data set once, in its order, without the transforms for training.
    pub(super) fn evaluation_loader(
        &self,
        dataset: Arc<dyn Dataset>,
    ) -> Result<DataLoader, TrainerError> {
        let batch = self.config.evaluation_batch_size().min(dataset.len().max(1));
        self.loader(dataset, batch, false)
    }

    /// A loader with the settings of the run.
    pub(super) fn loader(
        &self,
        dataset: Arc<dyn Dataset>,
        batch_size: usize,
        training: bool,
    ) -> Result<DataLoader, TrainerError> {
        Ok(self.loader_of(dataset, batch_size, training)?.build(self.learner.memory())?)
    }

    /// What makes such a loader.
    pub(super) fn loader_of(
        &self,
        dataset: Arc<dyn Dataset>,
        batch_size: usize,
        training: bool,
    ) -> Result<DataLoaderBuilder, TrainerError> {
        let config = &self.config;
        let mut builder = DataLoader::builder(self.with_checked_targets(dataset))
            .batch_size(batch_size)
            .workers(config.workers)
            // One more than may be in flight: the batch that is about to be submitted.
            .in_flight(config.steps_in_flight + 1)
            .shuffle(training && config.shuffle)
            .seed(self.progress.seed)
            .drop_last(training && config.drop_last)
            .training(training)
            .pipeline(self.pipeline.clone());
        if let Some(prefetch) = config.prefetch {
            builder = builder.prefetch(prefetch);
        }
        if let Some(buckets) = &config.buckets {
            builder = builder.collate(buckets.collation(training));
        }
        if let Some(mixing) = config.mix.filter(|_| training) {
            builder = builder.mix(mixing);
        }
        Ok(builder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_never_the_largest() {
        assert_eq!(largest(&[f32::NAN, 1.0, 2.0, 2.0]), 2);
        assert_eq!(largest(&[f32::NAN, f32::NAN]), 1);
    }

    #[test]
    fn probabilities_do_not_overflow() {
        let prediction = Prediction { shape: Shape::from([2]), values: vec![1000.0, 1000.0] };
        assert_eq!(prediction.probabilities(), [[0.5, 0.5]]);
    }
}
