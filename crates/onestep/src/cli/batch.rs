//! A batch for training steps from a file of tensors, checked before it reaches the device, which
//! trusts its shapes, labels and indices.

use std::path::Path;

use anyhow::{Result, anyhow};
use onestep::engine::{Mode, Type};
use onestep::layers::{LayerError, LossTerm, WEIGHT};
use onestep::memory::{DType, HostTensor, HostValues};
use onestep::trainer::{HostFields, TrainingProgram};

use super::tensors::{Stored, TensorFile};

/// The tensors of a batch by the names of a program's fields, and `weight` where there is one.
pub(crate) fn read(path: &Path, program: &TrainingProgram) -> Result<Vec<(String, HostTensor)>> {
    let mut file = TensorFile::read(path)?;
    let inputs = program.model().inputs().len();
    let mut tensors: Vec<(String, Stored)> = Vec::new();
    for (place, (name, ty)) in program.signature(Mode::Train, 1)?.fields().iter().enumerate() {
        let sample = ty.shape.without_axis(0)?;
        let wanted = match place < inputs {
            true => format!("[N, ...] with samples of {sample}"),
            false => "labels [N] or values [N, ...]".to_owned(),
        };
        let Stored { tensor, dtype } = file.take(name, &wanted)?;
        // Targets say what they are by their type; for inputs whole numbers are numbers too.
        let tensor = if place < inputs { tensor.converted(ty.dtype) } else { tensor };
        tensors.push((name.clone(), Stored { tensor, dtype }));
    }
    if let Some(Stored { tensor, dtype }) = file.take_any(WEIGHT) {
        let tensor = tensor.converted(DType::F32);
        tensors.push((WEIGHT.to_owned(), Stored { tensor, dtype }));
    }
    file.finish(&format!("a batch ({})", program.fields().join(", ")))?;
    Check { path, program, tensors: &tensors }.all()?;
    Ok(tensors.into_iter().map(|(name, stored)| (name, stored.tensor)).collect())
}

struct Check<'a> {
    path: &'a Path,
    program: &'a TrainingProgram,
    tensors: &'a [(String, Stored)],
}

impl Check<'_> {
    fn all(&self) -> Result<()> {
        let count = self.tensors.first().and_then(|(_, first)| first.tensor.shape().first());
        let count = count.copied().unwrap_or(0);
        let inputs = self.program.model().inputs().len();
        let whole = self.program.weighted(Mode::Train, count.max(1))?;
        for (place, (name, stored)) in self.tensors.iter().enumerate() {
            let Some(wanted) = whole.field(name) else { continue };
            match place < inputs {
                true => self.input(name, stored, wanted, (place > 0).then_some(count))?,
                false => self.type_of(name, stored, wanted)?,
            }
        }
        for term in self.program.losses() {
            self.target(term)?;
        }
        self.weights(count)
    }

    fn input(
        &self,
        name: &str,
        stored: &Stored,
        wanted: &Type,
        count: Option<usize>,
    ) -> Result<()> {
        let (shape, sample) = (stored.tensor.shape(), &wanted.shape[1..]);
        let samples = shape.first().copied().unwrap_or(0);
        if samples == 0 || shape[1..] != *sample {
            let sizes: Vec<String> = sample.iter().map(usize::to_string).collect();
            let wanted = format!("[N, {}] with N at least 1", sizes.join(", "));
            return self.refuse(name, wanted, stored);
        }
        if count.is_some_and(|count| count != samples) || stored.tensor.dtype() != wanted.dtype {
            return self.refuse(name, wanted, stored);
        }
        let limit = self.program.model().index_limit_of(name);
        match (limit, stored.tensor.values()) {
            (Some(limit), HostValues::I32(indices)) => {
                limit.check(indices, sample).or_else(|error| self.element(name, &error))
            }
            _ => Ok(()),
        }
    }

    fn type_of(&self, name: &str, stored: &Stored, wanted: &Type) -> Result<()> {
        let Stored { tensor, .. } = stored;
        if *tensor.shape() == wanted.shape && tensor.dtype() == wanted.dtype {
            return Ok(());
        }
        self.refuse(name, wanted, tensor)
    }

    /// The labels of a loss, which are indices, or its values.
    fn target(&self, term: &LossTerm) -> Result<()> {
        let name = term.target.as_str();
        let Some((_, stored)) = self.tensors.iter().find(|(own, _)| own == name) else {
            return Ok(());
        };
        let sample = stored.tensor.shape().get(1..).unwrap_or_default();
        let outputs = self.program.model().outputs();
        let output = outputs.iter().find(|output| output.name == term.first_output());
        let classes = output
            .or(outputs.first())
            .and_then(|o| o.shape.get(term.loss.class_axis() - 1).copied());
        let checked = match stored.tensor.values() {
            HostValues::I32(labels) => term.loss.check_labels(labels, sample, classes.unwrap_or(0)),
            HostValues::F32(values) => term.loss.check_values(values, sample),
            HostValues::U8(_) => Ok(()),
        };
        checked.or_else(|error| self.element(name, &error))
    }

    /// What the library checks too: numbers of at least 0, and not all of them 0.
    fn weights(&self, samples: usize) -> Result<()> {
        let found = self.tensors.iter().find(|(name, _)| name == WEIGHT);
        let Some((_, stored)) = found else { return Ok(()) };
        let targets = self.tensors[self.program.model().inputs().len()..].iter();
        let targets: Vec<_> = targets
            .map(|(name, stored)| (name.as_str(), stored.tensor.values().as_data()))
            .collect();
        let checked = self.program.check_targets(HostFields::Named(&targets), samples);
        checked.map_err(|error| {
            anyhow!("{}: tensor `{WEIGHT}` ({stored}): {error}", self.path.display())
        })
    }

    fn refuse(
        &self,
        name: &str,
        wanted: impl std::fmt::Display,
        got: impl std::fmt::Display,
    ) -> Result<()> {
        let path = self.path.display();
        Err(anyhow!("{path}: tensor `{name}`: expected {wanted}, got {got}"))
    }

    fn element(&self, name: &str, error: &LayerError) -> Result<()> {
        let path = self.path.display();
        match error {
            LayerError::Element { place, wanted, got, .. } => {
                Err(anyhow!("{path}: tensor `{name}`: {place}: expected {wanted}, got {got}"))
            }
            other => Err(anyhow!("{path}: tensor `{name}`: {other}")),
        }
    }
}
