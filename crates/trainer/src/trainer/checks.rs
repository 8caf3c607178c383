//! Whether data suit a model and its loss.

use onestep_engine::DType;
use onestep_layers::LossSpec;
use onestep_memory::Shape;

use super::Trainer;
use super::batch::HostData;
use crate::TrainerError;
use crate::metrics::Monitor;
use crate::program::TargetKind;

impl Trainer {
    /// A figure that training will have, with what is better of it.
    ///
    /// # Errors
    /// [`TrainerError::Option`] for one that is not measured.
    pub(crate) fn watch(&self, monitor: &Monitor) -> Result<Monitor, TrainerError> {
        if let Some(better) = self.figures().better(monitor.metric()) {
            return Ok(monitor.clone().with_better(better));
        }
        let loss = self.config.loss.type_name();
        let there = ["loss"].into_iter().chain(self.figures().names().iter().map(String::as_str));
        let there: Vec<&str> = there.collect();
        let wanted = format!(
            "a figure that the loss {loss} has with its metrics ({}), such as validation_loss",
            there.join(", ")
        );
        Err(TrainerError::option("monitor", wanted, monitor))
    }

    /// What is watched by the settings.
    pub(super) fn watched(&self) -> Vec<Monitor> {
        vec![self.config.monitor.clone(), self.config.early_stopping_monitor()]
    }

    pub(super) fn check_monitors(&self) -> Result<(), TrainerError> {
        self.watched().iter().try_for_each(|monitor| self.watch(monitor).map(|_| ()))
    }

    /// The number of samples in host data, and the shape of a whole batch. All indices exist.
    pub(super) fn check_input(&self, input: HostData<'_>) -> Result<Shape, TrainerError> {
        let sample = self.model().input_shape();
        let dtype = self.model().inputs()[0].dtype;
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
                check_labels(self.learner.program().loss(), labels, shape, *classes)?;
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
fn check_labels(
    loss: &LossSpec,
    labels: &[i32],
    shape: &Shape,
    classes: usize,
) -> Result<(), TrainerError> {
    if shape.rank() > 0 {
        return Ok(loss.check_labels(labels, shape.dims(), classes)?);
    }
    let wrong = |label: &i32| loss.check_labels(&[*label], &[], classes).is_err();
    match labels.iter().position(wrong) {
        Some(sample) => Err(TrainerError::Label { sample, label: labels[sample], classes }),
        None => Ok(()),
    }
}
