//! Whether what is watched is measured.

use super::Trainer;
use crate::TrainerError;
use crate::metrics::Monitor;

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
}
