//! What the model learnt from its data: names of classes, transforms, the target's own units.

use std::sync::Arc;

use onestep_data::{DataRecord, Dataset, SampleRng, TargetSpec, relabel};
use onestep_engine::Mode;
use onestep_layers::LossSpec;
use onestep_memory::{HostData, Shape};

use super::Trainer;
use crate::TrainerError;
use crate::metrics::{Meter, Metrics, Task};
use crate::program::TargetKind;

impl Trainer {
    /// What the model learnt from its data, as part of its checkpoints: the names of its classes,
    /// the scale of its targets, how other data is read. [`fit`](Trainer::fit) learns the names of
    /// the classes where it has none.
    ///
    /// ```
    /// use onestep_data::open;
    /// use onestep_trainer::{Trainer, TrainerConfig, factory};
    ///
    /// let data = open("digits")?;
    /// let config = TrainerConfig { epochs: 1, ..TrainerConfig::default() };
    /// let mut trainer = Trainer::builder(factory::mlp([1, 8, 8], &[], 10))
    ///     .config(config)
    ///     .record(data.record)
    ///     .build()?;
    /// trainer.fit(data.train, Some(data.validation), &mut [])?;
    /// assert_eq!(trainer.record().classes.as_ref().map(Vec::len), Some(10));
    /// # Ok::<(), onestep_trainer::TrainerError>(())
    /// ```
    pub fn record(&self) -> &DataRecord {
        &self.record
    }

    /// Replaces the record, for a model that is to learn from other data.
    ///
    /// # Errors
    /// More classes than the model has outputs, and a scale of targets that do not fit its outputs
    /// or its loss.
    pub fn set_record(&mut self, record: DataRecord) -> Result<(), TrainerError> {
        if let (Some(names), TargetKind::Labels { classes, .. }) = (&record.classes, self.target())
            && names.len() > *classes
        {
            let wanted = format!("at most {classes}, the outputs of the model");
            return Err(TrainerError::mismatch("classes of the record", wanted, names.len()));
        }
        if let Some(scaling) = &record.targets {
            let loss = self.config.loss.type_name();
            let values = matches!(self.target(), TargetKind::Values { .. });
            if !values || matches!(self.figures().task(), Task::Classify { .. } | Task::Binary) {
                let wanted = format!("no scale for the loss {loss}");
                let got = "standardised values";
                return Err(TrainerError::mismatch("targets of the record", wanted, got));
            }
            scaling.check(self.learner.program().output_shape().elements())?;
        }
        self.record = record;
        Ok(())
    }

    /// The names of the classes in a `fit` on this data: those of the record, or the data's own.
    pub(super) fn classes_with(&self, train: &dyn Dataset) -> Option<Vec<String>> {
        match (&self.record.classes, train.target()) {
            (Some(names), _) => Some(names.clone()),
            (None, TargetSpec::Classes { names }) => Some(names.to_vec()),
            _ => None,
        }
    }

    /// Data with its labels renumbered to the names that the model knows, checked.
    pub(super) fn by_name(
        &self,
        dataset: Arc<dyn Dataset>,
        classes: Option<&[String]>,
    ) -> Result<Arc<dyn Dataset>, TrainerError> {
        let labelled = matches!(dataset.target(), TargetSpec::Classes { .. });
        let dataset = match classes {
            Some(classes) if labelled => relabel(dataset, classes)?,
            _ => dataset,
        };
        self.bind(&dataset, Mode::Evaluate)?;
        Ok(dataset)
    }

    /// Host data after the transforms that count in evaluation too, where there are any: inputs on the
    /// host are what a data set would give.
    pub(super) fn transformed(
        &self,
        name: &str,
        shape: &Shape,
        data: HostData<'_>,
    ) -> Result<Option<Vec<f32>>, TrainerError> {
        let HostData::F32(values) = data else { return Ok(None) };
        let pipeline = self.learner.program().pipeline_of(&self.pipeline, name);
        if !pipeline.has_steps(false) {
            return Ok(None);
        }
        pipeline.check(shape)?;
        let (mut values, mut scratch) = (values.to_vec(), Vec::new());
        for (sample, number) in values.chunks_mut(shape.elements().max(1)).zip(0..) {
            let mut rng = SampleRng::new(self.progress.seed, 0, number);
            pipeline.apply(sample, shape, false, &mut rng, &mut scratch)?;
        }
        Ok(Some(values))
    }

    /// Brings outputs back to the target's own units.
    pub(super) fn restore_units(&self, outputs: &mut [f32]) {
        if let Some(scaling) = &self.record.targets {
            scaling.restore(outputs);
        }
    }

    /// The figures that a meter has come to, in the target's own units where they have any.
    pub(super) fn metrics(&self, meter: &Meter) -> Metrics {
        let (loss, target) = self.units();
        meter.metrics(self.figures(), loss, target)
    }

    /// The loss of a step in the same units.
    pub(super) fn loss_in_units(&self, loss: f32) -> f32 {
        (f64::from(loss) * self.units().0) as f32
    }

    /// What one unit of the loss and of the error is in the target's own units. A loss that is no
    /// power of the error has none, nor have targets of several scales.
    fn units(&self) -> (f64, f64) {
        let deviations = self.record.targets.as_ref().map(|scaling| scaling.deviation.as_slice());
        let Some([first, rest @ ..]) = deviations else { return (1.0, 1.0) };
        if rest.iter().any(|deviation| deviation != first) {
            return (1.0, 1.0);
        }
        let deviation = f64::from(*first);
        match self.config.loss {
            LossSpec::Mse(_) => (deviation * deviation, deviation),
            LossSpec::Mae(_) => (deviation, deviation),
            _ => (1.0, deviation),
        }
    }
}
