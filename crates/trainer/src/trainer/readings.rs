//! What can be read after a step of training: its output and gradients.

use std::collections::BTreeMap;

use super::Trainer;
use crate::TrainerError;
use crate::program::{OUTPUT, gradient_name};

/// Output and gradients by the names they are read by.
pub(super) type Readings = BTreeMap<String, Vec<f32>>;

impl Trainer {
    /// The model's output in the last step of training, before its update, row-major.
    ///
    /// # Errors
    /// There was no step, or
    /// [`TrainerConfig::keep_gradients`](crate::TrainerConfig::keep_gradients) is off.
    pub fn output(&mut self) -> Result<Vec<f32>, TrainerError> {
        self.reading(OUTPUT)
    }

    /// The gradient of a parameter in the last step of training, before clipping, row-major.
    ///
    /// # Errors
    /// There was no step, there is no such parameter, or
    /// [`TrainerConfig::keep_gradients`](crate::TrainerConfig::keep_gradients) is off.
    pub fn gradient(&mut self, parameter: &str) -> Result<Vec<f32>, TrainerError> {
        self.reading(&gradient_name(parameter))
    }

    fn reading(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        self.collect(true)?;
        let kept = self.readings.as_ref().and_then(|readings| readings.get(name));
        match kept {
            Some(values) => Ok(values.clone()),
            None => self.learner.reading(name),
        }
    }

    /// Copies them to the host before a step of another mode takes their memory.
    pub(super) fn keep_readings(&mut self) -> Result<(), TrainerError> {
        if !self.config.keep_gradients || !self.learner.has_stepped() || self.readings.is_some() {
            return Ok(());
        }
        self.collect(true)?;
        let gradients = self.model().parameters().iter().map(|p| gradient_name(&p.info.name));
        let names: Vec<String> = gradients.chain([OUTPUT.to_owned()]).collect();
        let mut readings = Readings::new();
        for name in names {
            let values = self.learner.reading(&name)?;
            readings.insert(name, values);
        }
        self.readings = Some(readings);
        Ok(())
    }
}
