//! Whether data suit a model and its loss.

use onestep_data::{Dataset, TargetSpec};
use onestep_engine::DType;
use onestep_memory::Shape;

use super::Trainer;
use super::batch::HostData;
use crate::TrainerError;
use crate::history::Monitor;
use crate::metrics::MetricKind;
use crate::program::TargetKind;

impl Trainer {
    /// Refuses a data set that the model or the loss cannot work on, before a sample is read.
    pub(super) fn check_dataset(&self, dataset: &dyn Dataset) -> Result<(), TrainerError> {
        self.check_dataset_input(dataset)?;
        let subject = |part: &str| format!("{}: {part}", dataset.name());
        let loss = self.config.loss.type_name();
        match (self.target(), dataset.target()) {
            (TargetKind::Labels { shape, classes }, TargetSpec::Classes { names }) => {
                if shape.rank() != 0 {
                    let wanted = format!("labels of {shape} a sample for this model");
                    return Err(TrainerError::mismatch(subject("target"), wanted, "one label"));
                }
                if names.len() > *classes {
                    let wanted = format!("at most {classes}, the outputs of the model");
                    return Err(TrainerError::mismatch(subject("classes"), wanted, names.len()));
                }
                Ok(())
            }
            (TargetKind::Values { shape }, TargetSpec::Values { shape: got }) if *shape == got => {
                Ok(())
            }
            (TargetKind::Labels { .. }, TargetSpec::Values { shape }) => {
                let wanted = format!("class labels for the loss {loss}");
                let got = format!("values of {shape}");
                Err(TrainerError::mismatch(subject("target"), wanted, got))
            }
            (TargetKind::Values { shape }, got) => {
                let wanted = format!("values of {shape} for the loss {loss}");
                let got = match got {
                    TargetSpec::Values { shape } => format!("values of {shape}"),
                    _ => "class labels".to_owned(),
                };
                Err(TrainerError::mismatch(subject("target"), wanted, got))
            }
            (TargetKind::Labels { .. }, _) => {
                let wanted = format!("class labels for the loss {loss}");
                Err(TrainerError::mismatch(subject("target"), wanted, "another kind of target"))
            }
        }
    }

    /// Refuses a figure that training will not have.
    ///
    /// # Errors
    /// [`TrainerError::Option`] for an accuracy where the loss is none of classification.
    pub(crate) fn check_monitor(&self, monitor: Monitor) -> Result<(), TrainerError> {
        if !monitor.is_accuracy() || self.figures().metric == MetricKind::Accuracy {
            return Ok(());
        }
        let loss = self.config.loss.type_name();
        let wanted = format!("a figure that the loss {loss} has, such as validation_loss");
        Err(TrainerError::option("monitor", wanted, monitor))
    }

    /// What is watched by the settings.
    pub(super) fn watched(&self) -> Vec<Monitor> {
        vec![self.config.monitor, self.config.early_stopping_monitor()]
    }

    pub(super) fn check_monitors(&self) -> Result<(), TrainerError> {
        self.watched().into_iter().try_for_each(|monitor| self.check_monitor(monitor))
    }

    /// The part of [`Self::check_dataset`] that concerns prediction too.
    pub(super) fn check_dataset_input(&self, dataset: &dyn Dataset) -> Result<(), TrainerError> {
        if dataset.is_empty() {
            let name = dataset.name().to_owned();
            return Err(onestep_data::DataError::Empty { dataset: name }.into());
        }
        let subject = || format!("{}: input", dataset.name());
        let (wanted, got) = (self.model().input_shape(), dataset.input_shape());
        if *wanted != got {
            let wanted = format!("samples of {wanted}, as the model takes");
            return Err(TrainerError::mismatch(subject(), wanted, got));
        }
        match self.model().spec().input.dtype.dtype() {
            DType::F32 => Ok(()),
            other => {
                let got = format!("{}", DType::F32);
                Err(TrainerError::mismatch(subject(), format!("{other}, as the model takes"), got))
            }
        }
    }

    /// The number of samples in host data, and the shape of a whole batch. All indices exist.
    pub(super) fn check_input(&self, input: HostData<'_>) -> Result<Shape, TrainerError> {
        let sample = self.model().input_shape();
        let dtype = self.model().spec().input.dtype.dtype();
        if input.dtype() != dtype {
            return Err(TrainerError::mismatch("input", dtype, input.dtype()));
        }
        let (each, got) = (sample.elements(), input.len());
        if got == 0 || !got.is_multiple_of(each) {
            let wanted = format!("one or more samples of {sample}, {each} elements each");
            return Err(TrainerError::mismatch("input", wanted, format!("{got} elements")));
        }
        if let (HostData::I32(indices), Some(limit)) = (input, self.model().index_limit()) {
            limit.check(indices, sample.dims())?;
        }
        Ok(sample.with_batch(got / each)?)
    }

    /// The shape of a batch of targets, all of whose labels exist and all of whose values are such
    /// that the loss is defined for them.
    pub(super) fn check_target(
        &self,
        target: HostData<'_>,
        batch: usize,
    ) -> Result<Shape, TrainerError> {
        let (shape, dtype) = match self.target() {
            TargetKind::Labels { shape, .. } => (shape, DType::I32),
            TargetKind::Values { shape } => (shape, DType::F32),
        };
        let loss = self.config.loss.type_name();
        if target.dtype() != dtype {
            let wanted = format!("{dtype} for the loss {loss}");
            return Err(TrainerError::mismatch("target", wanted, target.dtype()));
        }
        let whole = shape.with_batch(batch)?;
        if target.len() != whole.elements() {
            let wanted = format!("{whole} for {batch} samples");
            let got = format!("{} elements", target.len());
            return Err(TrainerError::mismatch("target", wanted, got));
        }
        match (self.target(), target) {
            (TargetKind::Labels { shape, classes }, HostData::I32(labels)) => {
                check_labels(labels, shape, *classes)?;
            }
            (TargetKind::Values { shape }, HostData::F32(values)) => {
                self.config.loss.check_values(values, shape.dims())?;
            }
            _ => {}
        }
        Ok(whole)
    }
}

/// Kernels use labels as indices, so that a wrong one must end here.
fn check_labels(labels: &[i32], shape: &Shape, classes: usize) -> Result<(), TrainerError> {
    if shape.rank() > 0 {
        return Ok(onestep_layers::check_labels(labels, shape.dims(), classes)?);
    }
    let wrong = |label: &i32| !usize::try_from(*label).is_ok_and(|label| label < classes);
    match labels.iter().position(wrong) {
        Some(sample) => Err(TrainerError::Label { sample, label: labels[sample], classes }),
        None => Ok(()),
    }
}
