//! What can be read after a step.

use onestep_engine::Mode;

use super::Learner;
use super::last::{Readings, place};
use crate::TrainerError;
use crate::program::gradient_name;

impl Learner {
    /// The elements of an output of the last step of a mode and batch size; waits for that.
    ///
    /// # Errors
    /// There was no such step, or it has no such output.
    pub fn read(&mut self, mode: Mode, batch: usize, name: &str) -> Result<Vec<f32>, TrainerError> {
        let signature = self.program.signature(mode, batch)?;
        Ok(self.engine.read_output(mode, &signature, name)?)
    }

    /// The elements of an output of the last step of a mode, whatever its batch was; waits for it.
    ///
    /// # Errors
    /// There was no such step, or it has no such output.
    pub fn read_last(&mut self, mode: Mode, name: &str) -> Result<Vec<f32>, TrainerError> {
        let last = &self.last[place(mode)];
        // What was not run says so by the usual signature.
        let signature = match last.types.is_empty() {
            true => self.program.signature(mode, 1)?,
            false => last.signature()?,
        };
        Ok(self.engine.read_output(mode, &signature, name)?)
    }

    /// An output or a gradient ([`gradient_name`](crate::program::gradient_name)) of the last step of
    /// training, where the program [keeps](crate::TrainingProgram::keep) them.
    ///
    /// # Errors
    /// There was no step, or it has no such output.
    pub fn reading(&mut self, name: &str) -> Result<Vec<f32>, TrainerError> {
        match self.readings.as_ref().and_then(|readings| readings.get(name)) {
            Some(values) => Ok(values.clone()),
            None => self.read_last(Mode::Train, name),
        }
    }

    /// Copies outputs and gradients to the host before a step of another mode takes their memory.
    pub(super) fn keep_readings(&mut self) -> Result<(), TrainerError> {
        let stepped = !self.last[place(Mode::Train)].types.is_empty();
        if !self.program.keeps() || !stepped || self.readings.is_some() {
            return Ok(());
        }
        let parameters = self.program.model().parameters().iter();
        let frozen: Vec<&str> = self.program.frozen().collect();
        let learned = parameters.filter(|p| !frozen.contains(&p.info.name.as_str()));
        let gradients = learned.map(|parameter| gradient_name(&parameter.info.name));
        let outputs = self.program.model().outputs().iter().map(|output| output.name.clone());
        let names: Vec<String> = gradients.chain(outputs).collect();
        let mut readings = Readings::new();
        for name in names {
            let values = self.read_last(Mode::Train, &name)?;
            readings.insert(name, values);
        }
        self.readings = Some(readings);
        Ok(())
    }
}
