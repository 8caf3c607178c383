//! What a model learnt from its data, besides its parameters.

use serde::{Deserialize, Serialize};

use crate::{Colour, DataError, Field, Fields, Role, TextEncoding, Vocabulary};

/// What a model learnt from its data: what new data must be read by so that its answers mean what
/// they meant in training.
///
/// [`open`](crate::open) makes one, a checkpoint keeps it, and [`open_as`](crate::open_as) reads other
/// data by it: classes by their names, columns by theirs, pictures in the size that the model takes.
/// What the model does to its inputs (a normalisation) is not here: those are steps of its
/// [`Pipeline`](crate::Pipeline).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataRecord {
    /// The text that [`open`](crate::open) was given, its path made absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How the data was divided, where it came in one piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub division: Option<Division>,
    /// The names of the classes, in the order of the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The columns of a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// How the values to predict were standardised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Scaling>,
    /// The form that pictures were brought into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
    /// The form that recordings were brought into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sounds: Option<Sounds>,
    /// The characters of a text and how it was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextForm>,
    /// What texts with a class each were made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextsForm>,
    /// The inputs and targets that the model was trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldForm>>,
}

/// How data was divided into a part to learn from and one to validate on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Division {
    /// It came in parts of its own.
    Given,
    /// By what each sample is; see [`split`](crate::split).
    Key,
    /// The end of a text is validated on.
    Position,
    /// Drawn among the places of the samples, as the digits, MNIST and CIFAR-10 once were. Runs that were
    /// begun so go on so.
    Place,
}

impl std::fmt::Display for Division {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Given => "parts of its own",
            Self::Key => "parts by what each sample is",
            Self::Position => "parts by position",
            Self::Place => "parts drawn by place",
        })
    }
}

/// A field that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldForm {
    /// Its name.
    pub name: String,
    /// The type of its elements: `f32`, `i32` or `u8`.
    pub dtype: String,
    /// The shape of one sample.
    pub shape: Vec<usize>,
}

impl FieldForm {
    fn of(field: &Field) -> Self {
        let shape = field.shape.dims().to_vec();
        Self { name: field.name.clone(), dtype: field.dtype.to_string(), shape }
    }
}

impl std::fmt::Display for FieldForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape)
    }
}

impl DataRecord {
    /// Keeps what a model was trained on: all fields but weights, which only training needs.
    pub fn keep_fields(&mut self, fields: &Fields) {
        let kept = fields.iter().filter(|field| field.role != Role::Weight);
        self.fields = Some(kept.map(FieldForm::of).collect());
    }

    /// Refuses data that lacks a field that the model was trained on, or has it in another form.
    ///
    /// # Errors
    /// [`DataError::Field`] with the first such field.
    pub fn check_fields(&self, fields: &Fields) -> Result<(), DataError> {
        for wanted in self.fields.iter().flatten() {
            let got = match fields.find(&wanted.name).map(FieldForm::of) {
                Some(got) if got == *wanted => continue,
                Some(got) => got.to_string(),
                None => format!("fields {}", fields.names()),
            };
            let wanted_form = format!("{wanted}, as the model was trained on");
            return Err(DataError::field(&wanted.name, wanted_form, got));
        }
        Ok(())
    }

    /// How data in one piece is divided for a model with this record: as its own was. A record that has a
    /// source and does not say how that was divided is of a time when there was one way.
    pub(crate) fn own_division(&self) -> Division {
        match self.division {
            None if self.source.is_some() => Division::Place,
            Some(Division::Place) => Division::Place,
            _ => Division::Key,
        }
    }

    /// Refuses the very data that the model was trained on where it falls into other parts now: what was
    /// learnt from would be validated on.
    pub(crate) fn check_division(&self, got: &Self) -> Result<(), DataError> {
        let place = |record: &Self| {
            let source = record.source.as_deref()?;
            Some(source.split_once('?').map_or(source, |(place, _)| place).to_owned())
        };
        match (self.division, got.division) {
            (Some(wanted), Some(now)) if wanted != now && place(self) == place(got) => {
                let wanted = format!("{wanted}, as when the model was trained on it");
                let got = format!("{now}; leave the option out, or give other data");
                Err(DataError::setting("division of the data", wanted, got))
            }
            _ => Ok(()),
        }
    }

    /// Refuses data of another kind than the model was trained on, as far as both say what they are.
    pub(crate) fn check_form(&self, got: &Self) -> Result<(), DataError> {
        let form = |record: &Self| {
            let forms = [
                (record.columns.is_some(), "a table"),
                (record.pictures.is_some(), "pictures"),
                (record.sounds.is_some(), "recordings"),
                (record.text.is_some(), "a text"),
                (record.texts.is_some(), "texts with a class each"),
            ];
            forms.into_iter().find(|(is_there, _)| *is_there).map(|(_, form)| form)
        };
        match (form(self), form(got)) {
            (Some(wanted), Some(got)) if wanted != got => {
                let wanted = format!("{wanted}, as the model was trained on");
                Err(DataError::setting("data", wanted, got))
            }
            _ => Ok(()),
        }
    }
}

/// The text that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextForm {
    /// The characters by number.
    pub vocabulary: Vocabulary,
    /// The characters of a window; of a line at most.
    pub length: usize,
    /// Whether samples are lines, of different lengths.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lines: bool,
}

/// The texts with a class each that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextsForm {
    /// How a text becomes tokens.
    pub encoding: TextEncoding,
    /// The tokens of a text at most.
    pub length: usize,
    /// The columns, where they came in a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<TextColumns>,
}

/// The columns of a table of texts: names of its header, or numbers counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextColumns {
    /// That of the texts.
    pub text: String,
    /// That of the classes.
    pub target: String,
}

/// The column that says how much a row counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightColumn {
    /// Its name of the header, or its number counted from 1.
    pub name: String,
    /// Where it stood among all columns, counted from 0.
    pub index: usize,
}

/// The columns of the table that a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The features in the order of the model's inputs: names of the header, or numbers counted from 1
    /// where the table had none.
    pub features: Vec<String>,
    /// The target's column, in the same way.
    pub target: String,
    /// Where the target stood among all columns, counted from 0.
    pub target_index: usize,
    /// The column of the weights, where rows do not count alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<WeightColumn>,
    /// Whether the names are those of a header.
    pub header: bool,
}

/// The form that pictures were brought into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// One channel or three.
    pub colour: Colour,
}

/// The form that recordings were brought into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sounds {
    /// Samples a second.
    pub rate: u32,
    /// Samples of an input.
    pub length: usize,
}

impl std::fmt::Display for Sounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} samples at {} a second", self.length, self.rate)
    }
}

/// How values were standardised: `(value - mean) / deviation`.
///
/// With one mean and one deviation for all elements of a value, or one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// The means, in the values' own units.
    pub mean: Vec<f32>,
    /// The deviations, in the values' own units; finite and above 0.
    pub deviation: Vec<f32>,
}

impl Scaling {
    /// Refuses what cannot be a scaling of values with `elements` numbers each.
    ///
    /// # Errors
    /// [`DataError::Setting`] where the lengths do not suit or where a number is not finite or a
    /// deviation not above 0.
    pub fn check(&self, elements: usize) -> Result<(), DataError> {
        let (means, deviations) = (self.mean.len(), self.deviation.len());
        if means != deviations || (means != 1 && means != elements) {
            let wanted = format!("1 or {elements} means and as many deviations");
            let got = format!("{means} and {deviations}");
            return Err(DataError::setting("scaling of the targets", wanted, got));
        }
        let good = |(m, d): (&f32, &f32)| m.is_finite() && d.is_finite() && *d > 0.0;
        if !self.mean.iter().zip(&self.deviation).all(good) {
            let wanted = "finite means, and finite deviations above 0";
            let got = format!("{:?} and {:?}", self.mean, self.deviation);
            return Err(DataError::setting("scaling of the targets", wanted, got));
        }
        Ok(())
    }

    /// Standardises values in place: one sample's, or several one after the other.
    pub fn scale(&self, values: &mut [f32]) {
        self.each(values, |value, mean, deviation| (value - mean) / deviation);
    }

    /// Brings standardised values (a model's outputs) back to their own units, in place.
    pub fn restore(&self, values: &mut [f32]) {
        self.each(values, |value, mean, deviation| value * deviation + mean);
    }

    fn each(&self, values: &mut [f32], change: impl Fn(f32, f32, f32) -> f32) {
        for sample in values.chunks_mut(self.mean.len().max(1)) {
            for (value, (mean, deviation)) in
                sample.iter_mut().zip(self.mean.iter().zip(&self.deviation))
            {
                *value = change(*value, *mean, *deviation);
            }
        }
    }
}
