//! Data sets that are held in memory.

mod builder;
mod store;

use std::sync::Arc;

use onestep_memory::{DType, HostValues, Shape};

use crate::moments::Moments;
use crate::{
    DataError, Dataset, Field, Fields, IGNORED, Meaning, Role, SampleMut, Scaling, TargetSpec,
};
pub use builder::InMemoryBuilder;
use builder::check_store;
use store::Store;

/// A data set made from vectors. Reading a sample is one copy a field.
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
    len: usize,
    fields: Fields,
    stores: Vec<Store>,
    keys: Option<Arc<[u64]>>,
}

impl InMemory {
    /// A set of any fields, to be given one after the other.
    ///
    /// ```
    /// use onestep_data::{Dataset, Field, InMemory, Sample};
    ///
    /// let set = InMemory::builder("greetings")
    ///     .field(Field::indices("tokens", [2], 10), vec![1, 2, 3, 4])
    ///     .field(Field::labels("kind", [], ["hello", "goodbye"]), vec![0, 1])
    ///     .field(Field::weight("weight"), vec![1.0, 0.5])
    ///     .build()?;
    /// assert_eq!((set.len(), set.class(1)), (2, Some(1)));
    /// assert_eq!(Sample::read(&set, 1)?.i32("tokens")?, [3, 4]);
    /// # Ok::<(), onestep_data::DataError>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> InMemoryBuilder {
        InMemoryBuilder { name: name.into(), fields: Vec::new(), stores: Vec::new(), keys: None }
    }

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
        let inputs = Store::Values(inputs.into());
        Self::pair(name.into(), shape, inputs, labels.into(), &classes)
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
        let inputs = Store::Bytes { bytes, divisor };
        Self::pair(name.into(), shape, inputs, labels.into(), &classes)
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
        Self::pair(name.into(), shape, Store::Values(inputs.into()), targets.into(), &target)
    }

    /// An `input` and a `target`.
    fn pair(
        name: String,
        shape: Shape,
        inputs: Store,
        targets: HostValues,
        target: &TargetSpec,
    ) -> Result<Self, DataError> {
        if targets.dtype() == DType::I32 && target.class_count().is_none() {
            return Err(DataError::setting("target", "classes for labels", "values"));
        }
        let each = shape.elements();
        let fields = Fields::pair(shape, target).to_vec();
        let elements = fields[1].shape.elements();
        let samples = match targets.dtype() {
            DType::I32 => targets.len(),
            _ => inputs.len() / each.max(1),
        };
        let lengths = [
            ("input elements", samples * each, inputs.len()),
            ("target elements", samples * elements, targets.len()),
        ];
        for (what, wanted, got) in lengths {
            if wanted != got {
                return Err(DataError::Length { dataset: name, what, wanted, got });
            }
        }
        if samples == 0 || each == 0 {
            return Err(DataError::Empty { dataset: name });
        }
        let stores = vec![inputs, Store::Values(targets)];
        InMemoryBuilder { name, fields, stores, keys: None }.build()
    }

    /// The target's f32 values and how many a sample has.
    fn target_values(&mut self) -> Option<(&mut Vec<f32>, usize)> {
        let place = self.fields.iter().position(|field| field.role == Role::Target)?;
        match &mut self.stores[place] {
            Store::Values(HostValues::F32(values)) => {
                Some((values, self.fields[place].shape.elements()))
            }
            _ => None,
        }
    }

    /// The same samples with their values to predict standardised.
    pub(crate) fn scaled(mut self, scaling: &Scaling) -> Result<Self, DataError> {
        if let Some((values, each)) = self.target_values() {
            scaling.check(each)?;
            scaling.scale(values);
        }
        Ok(self)
    }

    /// The scaling that standardises the values to predict of some samples; `None` for classes.
    pub(crate) fn scaling_of(&mut self, samples: &[usize]) -> Option<Scaling> {
        let (values, each) = self.target_values()?;
        let mut moments = vec![Moments::default(); each];
        for &index in samples {
            let sample = values.get(index * each..(index + 1) * each)?;
            moments.iter_mut().zip(sample).for_each(|(moments, &value)| moments.add(value));
        }
        let (mean, deviation) = moments.iter().map(Moments::mean_and_deviation).unzip();
        Some(Scaling { mean, deviation })
    }

    /// The same samples with a field more; `values` has all samples one after the other.
    ///
    /// # Errors
    /// Those of [`InMemoryBuilder::build`].
    pub fn with_field(
        self,
        field: Field,
        values: impl Into<HostValues>,
    ) -> Result<Self, DataError> {
        self.rebuilt().field(field, values).build()
    }

    /// The same samples, each with the number that a [`split`](crate::split) goes by; see
    /// [`Dataset::key`].
    ///
    /// # Errors
    /// [`DataError::Length`] for more or fewer keys than samples.
    pub fn with_keys(self, keys: impl Into<Vec<u64>>) -> Result<Self, DataError> {
        self.rebuilt().keys(keys).build()
    }

    fn rebuilt(self) -> InMemoryBuilder {
        let Self { name, fields, stores, keys, .. } = self;
        InMemoryBuilder { name, fields: fields.to_vec(), stores, keys }
    }

    /// The same data under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl InMemoryBuilder {
    /// Checks that all belongs together.
    ///
    /// # Errors
    /// [`DataError::Field`] for values of another type or number than the field asks for, and those of
    /// [`Fields::check`]; [`DataError::Label`] or [`DataError::Range`] for labels and indices that do not
    /// exist; [`DataError::Length`] for more or fewer keys than samples; [`DataError::Setting`] for a divisor that is zero or not finite; [`DataError::Empty`]
    /// without samples.
    pub fn build(self) -> Result<InMemory, DataError> {
        let Self { name, fields, stores, keys } = self;
        let fields = Fields::from(fields);
        fields.check()?;
        let first = fields.first().map_or(1, |field| field.shape.elements());
        let len = stores.first().map_or(0, Store::len) / first;
        let mut all = fields.iter().zip(&stores);
        all.try_for_each(|(field, store)| check_store(&name, field, store, len))?;
        if len == 0 {
            return Err(DataError::Empty { dataset: name });
        }
        if let Some(keys) = keys.as_ref().filter(|keys| keys.len() != len) {
            let (what, got) = ("keys", keys.len());
            return Err(DataError::Length { dataset: name, what, wanted: len, got });
        }
        Ok(InMemory { name, len, fields, stores, keys })
    }
}

impl Dataset for InMemory {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.len
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let len = self.len;
        if index >= len {
            return Err(DataError::Index { dataset: self.name.clone(), index, len });
        }
        for (place, (field, store)) in self.fields.iter().zip(&self.stores).enumerate() {
            let each = field.shape.elements();
            store.copy(index * each..(index + 1) * each, (place, &field.name), sample)?;
        }
        Ok(())
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.keys.as_ref()?.get(index).copied()
    }

    fn class(&self, index: usize) -> Option<usize> {
        let place = self.fields.iter().position(|field| field.role == Role::Target)?;
        let field = &self.fields[place];
        match (&field.meaning, &self.stores[place]) {
            (Meaning::Classes { .. }, Store::Values(HostValues::I32(labels)))
                if field.is_scalar() =>
            {
                usize::try_from(*labels.get(index).filter(|label| **label != IGNORED)?).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sample, read_sample};

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
        let labels = into([Field::f32("input", [2]), Field::labels("target", [], ["a"])]);
        assert_eq!(labels, "field `target`: expected i32, got a reader of f32");
        let wide = into([Field::f32("input", [3]), Field::values("target", [1])]);
        assert_eq!(wide, "field `input`: expected 3 elements, got 2");
    }

    #[test]
    fn fields_are_found_in_any_order() {
        let set = InMemory::builder("toy")
            .pixels(Field::f32("image", [2]), vec![0, 51, 102, 255], 255.0)
            .field(Field::labels("kind", [], ["a", "b"]), vec![1, 0])
            .build()
            .unwrap();
        let fields = [Field::weight("w"), set.fields()[1].clone(), set.fields()[0].clone()];
        let mut sample = Sample::new(&fields.into());
        set.read(0, &mut sample.as_mut()).unwrap();
        assert_eq!(sample.f32("image").unwrap(), [0.0, 0.2]);
        assert_eq!(sample.i32("kind").unwrap(), [1]);
    }

    #[test]
    fn any_fields_are_checked() {
        let build = |tokens: Vec<i32>, weights: Vec<f32>| {
            InMemory::builder("toy")
                .field(Field::indices("tokens", [2], 5), tokens)
                .field(Field::weight("weight"), weights)
                .build()
        };
        assert!(build(vec![0, 1, 2, 4], vec![1.0, 2.0]).is_ok());
        assert_eq!(
            error(build(vec![0, 1, 2, 5], vec![1.0, 2.0])),
            "toy: sample 1: field `tokens`, element 1: expected 0 to 4, got 5"
        );
        assert_eq!(
            error(build(vec![0, 1, 2, 4], vec![1.0])),
            "field `weight`: expected 2 samples of [], got 1 elements"
        );
        assert_eq!(error(build(vec![], vec![])), "toy: expected at least one sample, got none");
        let typed = InMemory::builder("toy").field(Field::u8("mask", [1]), vec![1.0]).build();
        assert_eq!(error(typed), "field `mask`: expected u8, got f32");
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
