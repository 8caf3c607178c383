//! What can be read after a step.

use std::collections::BTreeMap;

use onestep_engine::{Feeds, Mode, Signature, Type};

use super::Learner;
use crate::TrainerError;
use crate::program::gradient_name;

/// The fields of a batch. Its memory is taken once, so that a step allocates nothing.
#[derive(Default)]
pub(super) struct LastBatch {
    names: Vec<String>,
    types: Vec<Type>,
}

impl LastBatch {
    pub(super) fn note(&mut self, feeds: Feeds<'_>) {
        if self.names != feeds.names {
            self.names = feeds.names.to_vec();
        }
        self.types.clear();
        let types = feeds.tensors.iter();
        self.types.extend(types.map(|t| Type { shape: t.shape().clone(), dtype: t.dtype() }));
    }

    pub(super) fn signature(&self) -> Result<Signature, TrainerError> {
        Ok(Signature::new(self.names.iter().cloned().zip(self.types.iter().cloned()))?)
    }
}

/// The place of a mode's last batch.
pub(super) fn place(mode: Mode) -> usize {
    match mode {
        Mode::Train | Mode::Accumulate => 0,
        Mode::Evaluate => 1,
        Mode::Predict => 2,
    }
}
/// Outputs and gradients by the names they are read by.
pub(super) type Readings = BTreeMap<String, Vec<f32>>;

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
    /// training, where the program [keeps](TrainingProgram::keep) them.
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
