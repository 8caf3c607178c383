//! What a sample is made of.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use onestep_memory::{DType, Shape};

use crate::{DataError, TargetSpec};

/// The label that a loss passes over where a [`Field`] may have it: a position of a padded sequence, or a
/// pixel of no class (PyTorch's `ignore_index`).
pub const IGNORED: i32 = -100;

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The model computes from it.
    Input,
    /// The loss compares the model's output with it.
    Target,
    /// How much a sample counts in the loss.
    Weight,
}

/// What a field's numbers mean, and with it which are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// Any numbers.
    Numbers,
    /// Numbers of classes, from 0 to `names.len() - 1`.
    Classes {
        /// The name of each class, in the order of the labels.
        names: Arc<[String]>,
        /// Whether [`IGNORED`] may stand in place of a label.
        ignores: bool,
    },
    /// How likely each class is: f32 from 0 to 1, the last axis over the classes.
    Probabilities {
        /// The name of each class.
        names: Arc<[String]>,
    },
    /// Indices of rows of a table (tokens for an embedding), from 0 to `count - 1`.
    Indices {
        /// The number of rows.
        count: usize,
    },
}

impl Meaning {
    /// The numbers that are allowed are those from 0 to below this; `None` where all are.
    pub fn limit(&self) -> Option<usize> {
        match self {
            Self::Numbers | Self::Probabilities { .. } => None,
            Self::Classes { names, .. } => Some(names.len()),
            Self::Indices { count } => Some(*count),
        }
    }
}

/// One named, typed part of each sample.
///
/// ```
/// use onestep_data::{Field, Role};
/// use onestep_memory::DType;
///
/// let tokens = Field::indices("tokens", [64], 128);
/// assert_eq!((tokens.dtype, tokens.role), (DType::I32, Role::Input));
/// let next = Field::labels("next", [64], ["a", "b"]);
/// assert_eq!(next.to_string(), "`next` (target, i32 [64])");
/// let weight = Field::f32("weight", []).with_role(Role::Weight);
/// assert_eq!(weight.shape.elements(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name; a model finds the fields that it takes by theirs.
    pub name: String,
    /// The shape of one sample, without the batch.
    pub shape: Shape,
    /// [`DType::F32`], [`DType::I32`] or [`DType::U8`].
    pub dtype: DType,
    /// What it is for.
    pub role: Role,
    /// What its numbers mean.
    pub meaning: Meaning,
    /// Whether samples differ in length along the first axis; the shape has the longest.
    pub varies: bool,
}

impl Field {
    fn new(name: impl Into<String>, shape: Shape, dtype: DType, role: Role) -> Self {
        Self { name: name.into(), shape, dtype, role, meaning: Meaning::Numbers, varies: false }
    }

    /// An input of f32 numbers.
    pub fn f32(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        Self::new(name, shape.into(), DType::F32, Role::Input)
    }

    /// An input of whole numbers of any size.
    pub fn i32(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        Self::new(name, shape.into(), DType::I32, Role::Input)
    }

    /// An input of bytes: a mask, or pixels as they stand.
    pub fn u8(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        Self::new(name, shape.into(), DType::U8, Role::Input)
    }

    /// An input of indices from 0 to `count - 1`.
    pub fn indices(name: impl Into<String>, shape: impl Into<Shape>, count: usize) -> Self {
        let meaning = Meaning::Indices { count };
        Self { meaning, ..Self::i32(name, shape) }
    }

    /// A target of class labels, one for each position of `shape`; `names` has label 0 first.
    pub fn labels<S: Into<String>>(
        name: impl Into<String>,
        shape: impl Into<Shape>,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        let meaning = Meaning::Classes { names, ignores: false };
        Self { meaning, ..Self::new(name, shape.into(), DType::I32, Role::Target) }
    }

    /// A target of f32 values.
    pub fn values(name: impl Into<String>, shape: impl Into<Shape>) -> Self {
        Self::f32(name, shape).with_role(Role::Target)
    }

    /// How much a sample counts: one f32, not below 0.
    pub fn weight(name: impl Into<String>) -> Self {
        Self::f32(name, Shape::scalar()).with_role(Role::Weight)
    }

    /// The same field for something else.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// The same labels, among which [`IGNORED`] may stand. Other fields stay as they are.
    #[must_use]
    pub fn ignoring(mut self) -> Self {
        if let Meaning::Classes { ignores, .. } = &mut self.meaning {
            *ignores = true;
        }
        self
    }

    /// The same field with samples of different lengths along the first axis, of which the shape has the
    /// longest. [`Dataset::length`](crate::Dataset::length) says how long each is, `Dataset::read` gets a
    /// place of that length, and a [`Collation`](crate::Collation) says what becomes of it.
    #[must_use]
    pub fn varying(mut self) -> Self {
        self.varies = true;
        self
    }

    /// The shape in a batch whose samples were padded to `length` positions.
    pub(crate) fn shape_at(&self, length: Option<usize>) -> Result<Shape, DataError> {
        match length {
            Some(length) if self.varies => Ok(self.shape.without_axis(0)?.with_batch(length)?),
            _ => Ok(self.shape.clone()),
        }
    }

    /// Whether [`IGNORED`] may stand among the labels.
    pub fn ignores(&self) -> bool {
        matches!(self.meaning, Meaning::Classes { ignores: true, .. })
    }

    /// The place of the first of some numbers that this may not have: labels and indices that do not
    /// exist.
    pub(crate) fn wrong_label(&self, labels: &[i32]) -> Option<usize> {
        let (limit, ignores) = (self.meaning.limit()?, self.ignores());
        labels.iter().position(|&label| {
            let exists = usize::try_from(label).is_ok_and(|label| label < limit);
            !(exists || ignores && label == IGNORED)
        })
    }

    /// The error of a label or index that does not exist.
    pub(crate) fn label_error(
        &self,
        dataset: &str,
        index: usize,
        element: usize,
        got: i32,
    ) -> DataError {
        let (dataset, got) = (dataset.to_owned(), i64::from(got));
        let limit = self.meaning.limit().unwrap_or(0);
        if self.is_scalar() && self.role == Role::Target && !self.ignores() {
            return DataError::Label { dataset, index, label: got, classes: limit };
        }
        let ignored = if self.ignores() { format!(" or {IGNORED}") } else { String::new() };
        let wanted = format!("0 to {}{ignored}", limit.saturating_sub(1));
        DataError::Range { dataset, index, field: self.name.clone(), element, wanted, got }
    }

    /// What this teaches, where it is a target.
    pub fn target_spec(&self) -> TargetSpec {
        match &self.meaning {
            Meaning::Classes { names, .. } => TargetSpec::Classes { names: names.clone() },
            Meaning::Indices { count } => TargetSpec::classes(*count),
            Meaning::Numbers | Meaning::Probabilities { .. } => {
                TargetSpec::Values { shape: self.shape.clone() }
            }
        }
    }

    /// Whether one number stands for each sample.
    pub fn is_scalar(&self) -> bool {
        self.shape.rank() == 0
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Input => "input",
            Role::Target => "target",
            Role::Weight => "weight",
        };
        write!(f, "`{}` ({role}, {} {})", self.name, self.dtype, self.shape)
    }
}

/// The fields of a data set, in the order in which a batch has them. Cheap to clone; it dereferences to a
/// slice.
///
/// ```
/// use onestep_data::{Field, Fields};
///
/// let fields: Fields = [Field::f32("image", [1, 8, 8]), Field::labels("digit", [], ["0", "1"])].into();
/// assert_eq!(fields.find("digit").map(|field| field.ignores()), Some(false));
/// assert_eq!(fields.input().map(|field| &field.name[..]), Some("image"));
/// assert_eq!(fields.names(), "image, digit");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Arc<[Field]>);

/// The name of a simple data set's input.
pub(crate) const INPUT: &str = "input";
/// The name of a simple data set's target.
pub(crate) const TARGET: &str = "target";

impl Fields {
    /// One f32 input called `input` and one target called `target`: a label or f32 values.
    pub fn pair(input: Shape, target: &TargetSpec) -> Self {
        let target = match target {
            TargetSpec::Classes { names } => {
                let meaning = Meaning::Classes { names: names.clone(), ignores: false };
                Field { meaning, ..Field::new(TARGET, Shape::scalar(), DType::I32, Role::Target) }
            }
            TargetSpec::Values { shape } => Field::values(TARGET, shape.clone()),
        };
        [Field::f32(INPUT, input), target].into()
    }

    /// The field of this name.
    pub fn find(&self, name: &str) -> Option<&Field> {
        self.iter().find(|field| field.name == name)
    }

    /// The place of the field of this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.iter().position(|field| field.name == name)
    }

    /// The fields for something, in their order.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Field> {
        self.iter().filter(move |field| field.role == role)
    }

    /// The first input.
    pub fn input(&self) -> Option<&Field> {
        self.of(Role::Input).next()
    }

    /// The first target.
    pub fn target(&self) -> Option<&Field> {
        self.of(Role::Target).next()
    }

    /// The names, for messages.
    pub fn names(&self) -> String {
        self.iter().map(|field| &field.name[..]).collect::<Vec<_>>().join(", ")
    }

    /// Refuses fields that no batch can be made of.
    ///
    /// # Errors
    /// [`DataError::Field`] for two fields of one name, a name that is empty, a shape without elements,
    /// another type than f32, i32 and u8, labels or indices that are no i32, or without an input.
    pub fn check(&self) -> Result<(), DataError> {
        for (place, field) in self.iter().enumerate() {
            let refuse =
                |wanted: &str, got: String| Err(DataError::field(&field.name, wanted, got));
            if field.name.is_empty() || self.position(&field.name) != Some(place) {
                return refuse("a name of its own", format!("fields {}", self.names()));
            }
            if field.shape.elements() == 0 {
                return refuse("at least one element", field.shape.to_string());
            }
            if !matches!(field.dtype, DType::F32 | DType::I32 | DType::U8) {
                return refuse("f32, i32 or u8", field.dtype.to_string());
            }
            if field.role == Role::Weight && !(field.is_scalar() && field.dtype == DType::F32) {
                return refuse(
                    "one f32, as it is a weight",
                    format!("{} {}", field.dtype, field.shape),
                );
            }
            if field.meaning.limit().is_some() && field.dtype != DType::I32 {
                return refuse("i32 for labels and indices", field.dtype.to_string());
            }
        }
        match self.input() {
            Some(_) => Ok(()),
            None => Err(DataError::setting("fields", "at least one input", self.names())),
        }
    }

    /// Refuses fields that differ from these in name, type or meaning.
    ///
    /// # Errors
    /// [`DataError::Setting`] with `what` and the first field that differs.
    pub(crate) fn fits(&self, other: &Self, what: &'static str) -> Result<(), DataError> {
        let refuse = |wanted: String, got: String| {
            Err(DataError::setting(what, format!("{wanted}, as in the training part"), got))
        };
        for (wanted, got) in self.iter().zip(other.iter()) {
            if (&wanted.name, &wanted.shape, wanted.dtype, wanted.role, wanted.varies)
                != (&got.name, &got.shape, got.dtype, got.role, got.varies)
            {
                return refuse(wanted.to_string(), got.to_string());
            }
            if wanted.meaning != got.meaning {
                return refuse(wanted.target_spec().to_string(), got.target_spec().to_string());
            }
        }
        if self.len() != other.len() {
            return refuse(self.names(), other.names());
        }
        Ok(())
    }
}

impl Deref for Fields {
    type Target = [Field];

    fn deref(&self) -> &[Field] {
        &self.0
    }
}

impl<const N: usize> From<[Field; N]> for Fields {
    fn from(fields: [Field; N]) -> Self {
        Self(fields.into())
    }
}

impl From<Vec<Field>> for Fields {
    fn from(fields: Vec<Field>) -> Self {
        Self(fields.into())
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}
