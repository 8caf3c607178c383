//! Transforms in their order.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use onestep_base::Constructors;
use onestep_memory::{DType, Shape};

use crate::step::{Step, When, parse_step, steps};
use crate::{
    DataError, Fields, RandomCrop, RandomHorizontalFlip, SampleMut, SampleRng, Transform,
    TransformSpec,
};

/// Transforms in the order in which they are applied, each for training alone or always.
///
/// Its text form is a comma-separated list, in which a plus sign marks the steps that are applied
/// in evaluation too:
///
/// ```
/// use onestep_data::{Normalise, Pipeline};
///
/// let pipeline = Pipeline::new()
///     .random_crop(4)
///     .random_horizontal_flip(0.5)
///     .always(Normalise::new(&[0.5], &[0.25])?);
/// let text = "crop=4,flip=0.5,+normalise=0.5:0.25";
/// assert_eq!(pipeline.to_string(), text);
/// assert_eq!(text.parse::<Pipeline>()?.to_string(), text);
/// # Ok::<(), onestep_data::DataError>(())
/// ```
///
/// A step changes all f32 inputs of a sample, each in the same way (one draw decides on all crops, as in
/// torchvision's v2), or the one field that it names: `crop@image=4`. What moves elements ([`Transform::moves`])
/// moves with them the f32 targets of an input's height and width, as masks are.
///
/// ```
/// use onestep_data::{Field, Fields, Pipeline};
///
/// let fields: Fields = [Field::f32("image", [3, 8, 8]), Field::f32("price", [1])].into();
/// assert!("crop=2".parse::<Pipeline>()?.check_fields(&fields).is_err());
/// assert!("crop@image=2".parse::<Pipeline>()?.check_fields(&fields).is_ok());
/// # Ok::<(), onestep_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    steps: Vec<Step>,
}

impl Pipeline {
    /// No transforms.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a list of transforms with commas between, each a name with its value (`crop=4`, `flip`) or with
    /// an object of options (`flip={"probability":0.5}`), or an object with a `type`. A plus sign before one
    /// is for what is applied in evaluation too; a normalisation always is. `@FIELD` behind a name is the one
    /// field that the step changes. A name that is none of the library's
    /// ([`TransformSpec`](crate::TransformSpec) has them) is looked up in `own`.
    ///
    /// # Errors
    /// [`DataError::Setting`] for a transform that neither has, and for wrong options.
    pub fn read(text: &str, own: &Constructors) -> Result<Self, DataError> {
        let steps = steps(text).into_iter().map(|step| parse_step(step, own));
        Ok(Self { steps: steps.collect::<Result<_, _>>()? })
    }

    /// Whether the text of each step is one that [`read`](Self::read) makes the same step of: not so of
    /// transforms of one's own that were added as code.
    pub fn is_named(&self) -> bool {
        self.steps.iter().all(|step| {
            let text = step.transform.to_string();
            let read = || text.parse::<TransformSpec>().ok();
            let is_built_in = |spec: &TransformSpec| !matches!(spec, TransformSpec::Custom(_));
            step.is_named || read().filter(is_built_in).is_some_and(|spec| spec.to_string() == text)
        })
    }

    /// The steps that are a part of the model ([`Transform::always`]): what its inputs are scaled by.
    #[must_use]
    pub fn of_the_model(&self) -> Self {
        let steps = self.steps.iter().filter(|step| step.transform.always());
        Self { steps: steps.cloned().collect() }
    }

    /// Adds a transform for training and evaluation.
    #[must_use]
    pub fn always(self, transform: impl Transform + 'static) -> Self {
        self.with(Arc::new(transform), When::Always)
    }

    /// Adds a transform for training alone.
    #[must_use]
    pub fn training(self, transform: impl Transform + 'static) -> Self {
        self.with(Arc::new(transform), When::Training)
    }

    /// Adds [`RandomHorizontalFlip`] for training.
    #[must_use]
    pub fn random_horizontal_flip(self, probability: f32) -> Self {
        self.training(RandomHorizontalFlip { probability })
    }

    /// Adds [`RandomCrop`] for training, with a border of `padding` pixels.
    #[must_use]
    pub fn random_crop(self, padding: usize) -> Self {
        self.training(RandomCrop { padding })
    }

    fn with(mut self, transform: Arc<dyn Transform>, when: When) -> Self {
        self.steps.push(Step { transform, when, field: None, is_named: false });
        self
    }

    /// Lets the step that was added last change this field alone.
    #[must_use]
    pub fn on(mut self, field: impl Into<String>) -> Self {
        if let Some(step) = self.steps.last_mut() {
            step.field = Some(field.into());
        }
        self
    }

    /// The steps that change the field of this name: those that name no field, and those that name it.
    #[must_use]
    pub fn of(&self, field: &str) -> Self {
        let own = |step: &&Step| step.field.as_deref().is_none_or(|name| name == field);
        Self { steps: self.steps.iter().filter(own).cloned().collect() }
    }

    /// Whether [`Pipeline::apply`] would do anything, in training or elsewhere.
    pub fn has_steps(&self, training: bool) -> bool {
        self.steps.iter().any(|step| step.counts(training))
    }

    /// Whether there are no transforms.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Refuses inputs that a step cannot be applied to.
    ///
    /// # Errors
    /// Those of [`Transform::check`].
    pub fn check(&self, shape: &Shape) -> Result<(), DataError> {
        self.steps.iter().try_for_each(|step| step.transform.check(shape))
    }

    /// Refuses fields that a step cannot be applied to, and names that no field has.
    ///
    /// # Errors
    /// Those of [`Transform::check`], and [`DataError::Field`].
    pub fn check_fields(&self, fields: &Fields) -> Result<(), DataError> {
        self.steps_for(fields, true).map(|_| ())
    }

    /// The steps with the places of the fields that each changes.
    pub(crate) fn steps_for(
        &self,
        fields: &Fields,
        training: bool,
    ) -> Result<BoundPipeline, DataError> {
        let mut steps = Vec::new();
        for step in &self.steps {
            let places: Vec<usize> = (0..fields.len())
                .filter(|&place| {
                    let field = &fields[place];
                    step.changes(field) || step.moves_with(field, fields)
                })
                .collect();
            for field in places.iter().map(|&place| &fields[place]) {
                if field.dtype != DType::F32 {
                    let wanted = format!("f32 for the transform {}", step.transform);
                    return Err(DataError::field(&field.name, wanted, field.dtype));
                }
                if field.varies {
                    let wanted = format!("one length for the transform {}", step.transform);
                    return Err(DataError::field(
                        &field.name,
                        wanted,
                        "samples of several lengths",
                    ));
                }
                step.transform.check(&field.shape)?;
            }
            match &step.field {
                Some(name) if places.is_empty() => {
                    let wanted = format!("one of {}", fields.names());
                    return Err(DataError::field(name, wanted, "none"));
                }
                _ if places.is_empty() => {
                    let wanted = format!("an f32 input for the transform {}", step.transform);
                    return Err(DataError::setting("fields", wanted, fields.names()));
                }
                _ => {}
            }
            if step.counts(training) {
                let shapes = places.iter().map(|&place| fields[place].shape.clone());
                let shapes = places.iter().copied().zip(shapes).collect();
                steps.push((step.transform.clone(), shapes));
            }
        }
        Ok(BoundPipeline { steps })
    }

    /// Applies the steps to one input, in place; those for training only where `training` is set.
    ///
    /// # Errors
    /// Those of [`Transform::apply`].
    pub fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        training: bool,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        for step in self.steps.iter().filter(|step| step.counts(training)) {
            step.transform.apply(input, shape, rng, scratch)?;
        }
        Ok(())
    }
}

/// A step with the places and shapes of what it changes.
type BoundStep = (Arc<dyn Transform>, Vec<(usize, Shape)>);

/// The steps of a [`Pipeline`] for the fields of a data set.
#[derive(Debug)]
pub(crate) struct BoundPipeline {
    steps: Vec<BoundStep>,
}

impl BoundPipeline {
    /// The elements of the largest field that a step changes.
    pub(crate) fn largest(&self) -> usize {
        let changed = self.steps.iter().flat_map(|(_, fields)| fields);
        changed.map(|(_, shape)| shape.elements()).max().unwrap_or(0)
    }

    /// Applies the steps to a sample. All fields that a step changes see the same random numbers.
    pub(crate) fn apply(
        &self,
        sample: &mut SampleMut<'_>,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        for (transform, fields) in &self.steps {
            let start = rng.clone();
            for (place, shape) in fields {
                rng.clone_from(&start);
                let values = sample.at::<f32>(*place).unwrap_or_default();
                transform.apply(values, shape, rng, scratch)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let mark = if step.when == When::Always { "+" } else { "" };
            let text = step.transform.to_string();
            let (name, value) = text.split_at(text.find('=').unwrap_or(text.len()));
            let field = step.field.as_ref().map_or_else(String::new, |field| format!("@{field}"));
            write!(f, "{comma}{mark}{name}{field}{value}")?;
        }
        Ok(())
    }
}

impl FromStr for Pipeline {
    type Err = DataError;

    /// Reads transforms of the library, as [`read`](Self::read) does.
    fn from_str(text: &str) -> Result<Self, DataError> {
        Self::read(text, &Constructors::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;

    #[test]
    fn evaluation_leaves_out_the_training_steps() {
        let pipeline: Pipeline = "flip=1,+normalise=1:2".parse().unwrap();
        let shape = Shape::from([1, 1, 2]);
        pipeline.check(&shape).unwrap();
        let run = |training| {
            let mut input = [1.0, 3.0];
            let mut rng = SampleRng::new(0, 0, 0);
            pipeline.apply(&mut input, &shape, training, &mut rng, &mut Vec::new()).unwrap();
            input
        };
        assert_eq!(run(true), [1.0, 0.0]);
        assert_eq!(run(false), [0.0, 1.0]);
    }

    #[test]
    fn a_mask_is_moved_with_its_picture_and_is_not_scaled() {
        let fields: Fields = [
            Field::f32("image", [3, 8, 8]),
            Field::values("mask", [1, 8, 8]),
            Field::values("size", [1]),
        ]
        .into();
        let places = |text: &str| -> Vec<usize> {
            let bound = text.parse::<Pipeline>().unwrap().steps_for(&fields, true).unwrap();
            bound.steps[0].1.iter().map(|(place, _)| *place).collect()
        };
        assert_eq!(places("flip"), [0, 1]);
        assert_eq!(places("crop=1"), [0, 1]);
        assert_eq!(places("normalise=0.5:0.5"), [0]);
        assert_eq!(places("flip@image"), [0]);
    }

    #[test]
    fn unknown_and_broken_steps_are_refused() {
        for text in ["rotate=3", "crop", "crop=-1", "flip=x", "normalise=0.5", "normalise=0:0"] {
            assert!(text.parse::<Pipeline>().is_err(), "{text}");
        }
        assert!("".parse::<Pipeline>().unwrap().is_empty());
        assert_eq!("flip".parse::<Pipeline>().unwrap().to_string(), "flip=0.5");
    }

    #[test]
    fn options_may_be_json() {
        let text = r#"{"type": "crop", "padding": 2}, +flip@image={"probability": 1},normalise={"mean":[1,2],"std":[3,4]}"#;
        let pipeline: Pipeline = text.parse().unwrap();
        let wanted = "crop=2,+flip@image=1,+normalise=1/2:3/4";
        assert_eq!(pipeline.to_string(), wanted);
        assert_eq!(pipeline.of_the_model().to_string(), "+normalise=1/2:3/4");
        let quoted = steps(r#"a={"x":"},\"{,"},b"#);
        assert_eq!(quoted, [r#"a={"x":"},\"{,"}"#, "b"]);
    }

    #[test]
    fn a_normalisation_counts_in_evaluation_too() {
        let pipeline: Pipeline = "flip,normalise=1:2".parse().unwrap();
        assert_eq!(pipeline.to_string(), "flip=0.5,+normalise=1:2");
        assert!(pipeline.has_steps(false));
    }
}
