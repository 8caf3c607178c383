//! Data with its labels renumbered to the names that a model knows.

use std::collections::HashMap;
use std::sync::Arc;

use onestep_memory::Shape;

use crate::{DataError, Dataset, TargetMut, TargetSpec, shown};

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
    let classes = TargetSpec::Classes { names: classes.into() };
    Ok(Arc::new(Relabelled { dataset, labels, classes }))
}

struct Relabelled {
    dataset: Arc<dyn Dataset>,
    /// The new label of each old one.
    labels: Vec<i32>,
    classes: TargetSpec,
}

impl Dataset for Relabelled {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn input_shape(&self) -> Shape {
        self.dataset.input_shape()
    }

    fn target(&self) -> TargetSpec {
        self.classes.clone()
    }

    fn read(
        &self,
        index: usize,
        input: &mut [f32],
        target: TargetMut<'_>,
    ) -> Result<(), DataError> {
        let mut old = -1;
        self.dataset.read(index, input, TargetMut::Label(&mut old))?;
        let new = usize::try_from(old).ok().and_then(|label| self.labels.get(label));
        let new = new.ok_or_else(|| DataError::Label {
            dataset: self.name().to_owned(),
            index,
            label: i64::from(old),
            classes: self.labels.len(),
        })?;
        target.set_label(*new)
    }

    fn class(&self, index: usize) -> Option<usize> {
        let new = self.labels.get(self.dataset.class(index)?)?;
        usize::try_from(*new).ok()
    }

    fn location(&self, index: usize) -> Option<String> {
        self.dataset.location(index)
    }
}
