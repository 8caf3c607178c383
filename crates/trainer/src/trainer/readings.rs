//! What can be read after a step of training: its output and gradients.

use super::Trainer;
use crate::TrainerError;
use crate::program::{OUTPUT, gradient_name};

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

    /// What a layer of [`TrainerConfig::read`](crate::TrainerConfig::read) gave in the last step of
    /// training, by the layer's path, row-major.
    ///
    /// # Errors
    /// There was no step, or the layer is not among those that are read.
    pub fn value(&mut self, layer: &str) -> Result<Vec<f32>, TrainerError> {
        self.reading(layer)
    }

    fn reading(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        self.collect(true)?;
        self.learner.reading(name)
    }
}
