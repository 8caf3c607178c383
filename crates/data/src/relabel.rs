//! Data with its labels renumbered to the names that a model knows.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{
    DataError, Dataset, Field, Fields, IGNORED, Meaning, Role, SampleMut, TargetSpec, shown,
};

/// The same samples with labels that count in `classes`.
///
/// Labels are only numbers; what they mean are the names. Data that was found with other classes than
/// the model has, or with the same in another order, is matched by name.
///
/// # Errors
/// [`DataError::Classes`] for a class of the data that `classes` does not have, and for data that has
/// values to predict.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{Dataset, InMemory, TargetSpec, relabel};
/// use onestep_memory::Shape;
///
/// let pets = TargetSpec::named_classes(["dog"]);
/// let pets = InMemory::classification("pets", Shape::from([1]), vec![0.5], vec![0], pets)?;
/// let known = ["cat".to_owned(), "dog".to_owned()];
/// let pets = relabel(Arc::new(pets), &known)?;
/// assert_eq!((pets.class(0), pets.target().class_count()), (Some(1), Some(2)));
/// # Ok::<(), onestep_data::DataError>(())
/// ```
pub fn relabel(
    dataset: Arc<dyn Dataset>,
    classes: &[String],
) -> Result<Arc<dyn Dataset>, DataError> {
    let refuse = |got: String| {
        let (dataset, known) = (dataset.name().to_owned(), classes.to_vec());
        DataError::Classes { dataset, known, got }
    };
    let TargetSpec::Classes { names } = dataset.target() else {
        return Err(refuse("values to predict".to_owned()));
    };
    if *names == *classes {
        return Ok(dataset);
    }
    let places: HashMap<&str, i32> = classes.iter().map(String::as_str).zip(0..).collect();
    let labels = names.iter().map(|name| {
        let label = places.get(name.as_str()).copied();
        label.ok_or_else(|| refuse(format!("a class `{}`", shown(name))))
    });
    let labels = labels.collect::<Result<_, _>>()?;
    let mut fields = dataset.fields().to_vec();
    let Some(target) = fields.iter_mut().find(|field| field.role == Role::Target) else {
        return Err(refuse("no target".to_owned()));
    };
    let ignores = target.ignores();
    target.meaning = Meaning::Classes { names: classes.into(), ignores };
    let target = target.name.clone();
    Ok(Arc::new(Relabelled { dataset, labels, target, fields: fields.into() }))
}

struct Relabelled {
    dataset: Arc<dyn Dataset>,
    /// The new label of each old one.
    labels: Vec<i32>,
    /// The field of the labels.
    target: String,
    fields: Fields,
}

impl Relabelled {
    fn renumber(&self, index: usize, label: &mut i32) -> Result<(), DataError> {
        let new = usize::try_from(*label).ok().and_then(|label| self.labels.get(label));
        if let Some(new) = new {
            *label = *new;
        } else if *label != IGNORED || !self.fields.target().is_some_and(Field::ignores) {
            let (dataset, classes) = (self.name().to_owned(), self.labels.len());
            return Err(DataError::Label { dataset, index, label: i64::from(*label), classes });
        }
        Ok(())
    }
}

impl Dataset for Relabelled {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        self.dataset.read(index, sample)?;
        let labels = sample.i32(&self.target)?;
        labels.iter_mut().try_for_each(|label| self.renumber(index, label))
    }

    fn key(&self, index: usize) -> Option<u64> {
        self.dataset.key(index)
    }

    fn class(&self, index: usize) -> Option<usize> {
        let new = self.labels.get(self.dataset.class(index)?)?;
        usize::try_from(*new).ok()
    }

    fn length(&self, index: usize) -> Option<usize> {
        self.dataset.length(index)
    }

    fn location(&self, index: usize) -> Option<String> {
        self.dataset.location(index)
    }
}
