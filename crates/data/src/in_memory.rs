//! Data sets that are held in memory.

use onestep_memory::Shape;

use crate::moments::Moments;
use crate::{DataError, Dataset, Fields, SampleMut, Scaling, TargetSpec};

#[derive(Clone, Debug)]
enum Inputs {
    Floats(Vec<f32>),
    /// Pixels as bytes, a quarter of the memory; `value = byte / divisor`.
    Bytes {
        bytes: Vec<u8>,
        divisor: f32,
    },
}

impl Inputs {
    fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }
}

#[derive(Clone, Debug)]
enum Targets {
    Labels(Vec<i32>),
    Values(Vec<f32>),
}

/// A data set made from vectors. Reading a sample is one copy.
///
/// ```
/// use onestep_data::{Dataset, InMemory, TargetSpec};
/// use onestep_memory::Shape;
///
/// let xor = InMemory::classification(
///     "xor",
///     Shape::from([2]),
///     vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
///     vec![0, 1, 1, 0],
///     TargetSpec::classes(2),
/// )?;
/// assert_eq!(xor.len(), 4);
/// # Ok::<(), onestep_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemory {
    name: String,
    shape: Shape,
    inputs: Inputs,
    targets: Targets,
    target: TargetSpec,
    fields: Fields,
}

impl InMemory {
    /// Labelled samples: `inputs` holds them one after the other, each of `shape`.
    ///
    /// # Errors
    /// [`DataError::Length`] where inputs and labels do not match, [`DataError::Empty`] without
    /// samples, [`DataError::Label`] for a label that `classes` does not have,
    /// [`DataError::Setting`] where `classes` are values.
    pub fn classification(
        name: impl Into<String>,
        shape: Shape,
        inputs: Vec<f32>,
        labels: Vec<i32>,
        classes: TargetSpec,
    ) -> Result<Self, DataError> {
        Self::new(name.into(), shape, Inputs::Floats(inputs), Targets::Labels(labels), classes)
    }

    /// Labelled pictures that stay bytes in memory; an input element is `byte / divisor`.
    ///
    /// # Errors
    /// As for [`classification`](Self::classification), and for a divisor that is zero or not finite.
    pub fn pixels(
        name: impl Into<String>,
        shape: Shape,
        bytes: Vec<u8>,
        divisor: f32,
        labels: Vec<i32>,
        classes: TargetSpec,
    ) -> Result<Self, DataError> {
        if !divisor.is_finite() || divisor == 0.0 {
            return Err(DataError::setting("divisor", "a finite number that is not 0", divisor));
        }
        let inputs = Inputs::Bytes { bytes, divisor };
        Self::new(name.into(), shape, inputs, Targets::Labels(labels), classes)
    }

    /// Samples with values to predict: `targets` holds those one after the other, each of
    /// `target_shape`.
    ///
    /// # Errors
    /// [`DataError::Length`] where inputs and targets do not match, [`DataError::Empty`] without
    /// samples.
    pub fn regression(
        name: impl Into<String>,
        shape: Shape,
        inputs: Vec<f32>,
        target_shape: Shape,
        targets: Vec<f32>,
    ) -> Result<Self, DataError> {
        let target = TargetSpec::values(target_shape);
        Self::new(name.into(), shape, Inputs::Floats(inputs), Targets::Values(targets), target)
    }

    fn new(
        name: String,
        shape: Shape,
        inputs: Inputs,
        targets: Targets,
        target: TargetSpec,
    ) -> Result<Self, DataError> {
        let fields = Fields::pair(shape.clone(), &target);
        let this = Self { name, shape, inputs, targets, target, fields };
        this.check_lengths()?;
        this.check_labels()?;
        Ok(this)
    }

    fn check_lengths(&self) -> Result<(), DataError> {
        let length = |what, wanted, got| {
            if wanted == got {
                return Ok(());
            }
            Err(DataError::Length { dataset: self.name.clone(), what, wanted, got })
        };
        let each = self.shape.elements();
        match (&self.targets, &self.target) {
            (Targets::Labels(labels), _) => {
                length("input elements", labels.len() * each, self.inputs.len())?;
            }
            (Targets::Values(values), TargetSpec::Values { shape }) => {
                let samples = self.inputs.len() / each.max(1);
                length("input elements", samples * each, self.inputs.len())?;
                length("target elements", samples * shape.elements(), values.len())?;
            }
            // `regression` is the only maker of values, and it makes their specification too.
            (Targets::Values(_), TargetSpec::Classes { .. }) => {}
        }
        if self.len() == 0 || each == 0 {
            return Err(DataError::Empty { dataset: self.name.clone() });
        }
        Ok(())
    }

    fn check_labels(&self) -> Result<(), DataError> {
        let Targets::Labels(labels) = &self.targets else { return Ok(()) };
        let Some(classes) = self.target.class_count() else {
            return Err(DataError::setting("target", "classes for labels", "values"));
        };
        let bad = labels.iter().position(|&label| label < 0 || label as usize >= classes);
        let Some(index) = bad else { return Ok(()) };
        let dataset = self.name.clone();
        Err(DataError::Label { dataset, index, label: i64::from(labels[index]), classes })
    }

    /// The same samples with their values to predict standardised.
    pub(crate) fn scaled(mut self, scaling: &Scaling) -> Result<Self, DataError> {
        if let (Targets::Values(values), TargetSpec::Values { shape }) =
            (&mut self.targets, &self.target)
        {
            scaling.check(shape.elements())?;
            scaling.scale(values);
        }
        Ok(self)
    }

    /// The scaling that standardises the values to predict of some samples; `None` for classes.
    pub(crate) fn scaling_of(&self, samples: &[usize]) -> Option<Scaling> {
        let (Targets::Values(values), TargetSpec::Values { shape }) = (&self.targets, &self.target)
        else {
            return None;
        };
        let each = shape.elements();
        let mut moments = vec![Moments::default(); each];
        for &index in samples {
            let sample = values.get(index * each..(index + 1) * each)?;
            moments.iter_mut().zip(sample).for_each(|(moments, &value)| moments.add(value));
        }
        let (mean, deviation) = moments.iter().map(Moments::mean_and_deviation).unzip();
        Some(Scaling { mean, deviation })
    }

    /// The same data under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl Dataset for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        match &self.targets {
            Targets::Labels(labels) => labels.len(),
            Targets::Values(_) => self.inputs.len() / self.shape.elements().max(1),
        }
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let len = self.len();
        if index >= len {
            return Err(DataError::Index { dataset: self.name.clone(), index, len });
        }
        let (input, target) = sample.pair()?;
        let each = self.shape.elements();
        if input.len() != each {
            let dataset = self.name.clone();
            let (what, got) = ("the place for an input", input.len());
            return Err(DataError::Length { dataset, what, wanted: each, got });
        }
        let range = index * each..(index + 1) * each;
        match &self.inputs {
            Inputs::Floats(values) => input.copy_from_slice(&values[range]),
            Inputs::Bytes { bytes, divisor } => {
                for (value, &byte) in input.iter_mut().zip(&bytes[range]) {
                    *value = f32::from(byte) / divisor;
                }
            }
        }
        match &self.targets {
            Targets::Labels(labels) => target.set_label(labels[index]),
            Targets::Values(values) => {
                let each = values.len() / len;
                target.set_values(&values[index * each..(index + 1) * each])
            }
        }
    }

    fn class(&self, index: usize) -> Option<usize> {
        match &self.targets {
            Targets::Labels(labels) => usize::try_from(*labels.get(index)?).ok(),
            Targets::Values(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Sample, read_sample};

    fn error(result: Result<InMemory, DataError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn lengths_and_labels_are_checked() {
        let make = |inputs: usize, labels: Vec<i32>| {
            let classes = TargetSpec::classes(3);
            InMemory::classification("toy", Shape::from([2]), vec![0.0; inputs], labels, classes)
        };
        assert!(make(4, vec![0, 2]).is_ok());
        assert_eq!(error(make(5, vec![0, 2])), "toy: input elements: expected 4, got 5");
        assert_eq!(error(make(0, vec![])), "toy: expected at least one sample, got none");
        let wanted = "toy: sample 1: expected a label from 0 to 2, got 3";
        assert_eq!(error(make(4, vec![0, 3])), wanted);
        assert!(error(make(4, vec![0, -1])).ends_with("got -1"));
    }

    #[test]
    fn values_are_checked_and_read() {
        let make = |targets| {
            let inputs = vec![1.0, 2.0, 3.0, 4.0];
            InMemory::regression("toy", Shape::from([2]), inputs, Shape::from([1]), targets)
        };
        assert_eq!(error(make(vec![1.0])), "toy: target elements: expected 2, got 1");
        let set = make(vec![5.0, 6.0]).unwrap();
        assert_eq!(read_sample(&set, 1).unwrap(), (vec![3.0, 4.0], vec![6.0]));
        assert!(read_sample(&set, 2).is_err());
        let into = |fields: [Field; 2]| {
            set.read(1, &mut Sample::new(&fields.into()).as_mut()).unwrap_err().to_string()
        };
        let labels = into([Field::f32("x", [2]), Field::labels("y", [], ["a"])]);
        assert_eq!(labels, "target: expected a class label, got 1 values");
        let wide = into([Field::f32("x", [3]), Field::values("y", [1])]);
        assert_eq!(wide, "toy: the place for an input: expected 2, got 3");
    }

    #[test]
    fn bytes_are_divided() {
        let classes = TargetSpec::classes(1);
        let shape = Shape::from([2]);
        let set = InMemory::pixels("toy", shape.clone(), vec![0, 51], 255.0, vec![0], classes);
        assert_eq!(read_sample(&set.unwrap(), 0).unwrap().0, [0.0, 0.2]);
        let zero =
            InMemory::pixels("toy", shape, vec![0, 51], 0.0, vec![0], TargetSpec::classes(1));
        assert!(zero.is_err());
    }
}
