//! Fields of a batch on the host, by name, checked against what a program asks for.

use onestep_engine::{DType, Mode};
use onestep_layers::{LayerError, LossTerm, WEIGHT};
use onestep_memory::HostData;

use crate::TrainerError;
use crate::program::{Asked, TrainingProgram};

/// The inputs, or the targets, of a batch on the host: the only one there is, or several by name.
///
/// ```
/// use onestep_trainer::{HostData, HostFields};
///
/// let one = HostFields::from(&[0.5f32, 1.0]);
/// let (left, right) = ([0.5f32, 1.0], [3, 4]);
/// let fields = [("left", HostData::from(&left)), ("right", HostData::from(&right))];
/// assert_ne!(one, HostFields::from(&fields));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HostFields<'a> {
    /// The only one, whatever it is called.
    One(HostData<'a>),
    /// Each with its name, in any order. Among targets, `weight` is how much each sample counts.
    Named(&'a [(&'a str, HostData<'a>)]),
}

impl HostFields<'_> {
    /// None, for a model whose loss has no target but its inputs.
    pub const NONE: HostFields<'static> = HostFields::Named(&[]);
}

impl<'a> From<HostData<'a>> for HostFields<'a> {
    fn from(data: HostData<'a>) -> Self {
        HostFields::One(data)
    }
}

impl<'a> From<&'a [(&'a str, HostData<'a>)]> for HostFields<'a> {
    fn from(fields: &'a [(&'a str, HostData<'a>)]) -> Self {
        HostFields::Named(fields)
    }
}

impl<'a> From<&'a Vec<(&'a str, HostData<'a>)>> for HostFields<'a> {
    fn from(fields: &'a Vec<(&'a str, HostData<'a>)>) -> Self {
        HostFields::Named(fields)
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, HostData<'a>); N]> for HostFields<'a> {
    fn from(fields: &'a [(&'a str, HostData<'a>); N]) -> Self {
        HostFields::Named(fields)
    }
}

macro_rules! only_one {
    ($($element:ty),*) => {$(
        impl<'a> From<&'a [$element]> for HostFields<'a> {
            fn from(values: &'a [$element]) -> Self {
                HostFields::One(values.into())
            }
        }

        impl<'a> From<&'a Vec<$element>> for HostFields<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                HostFields::One(values.into())
            }
        }

        impl<'a, const N: usize> From<&'a [$element; N]> for HostFields<'a> {
            fn from(values: &'a [$element; N]) -> Self {
                HostFields::One(values.into())
            }
        }
    )*};
}

only_one!(f32, i32, u8);

impl<'a> HostFields<'a> {
    fn named(&self, name: &str) -> Option<HostData<'a>> {
        match self {
            HostFields::One(_) => None,
            HostFields::Named(fields) => {
                fields.iter().find(|(own, _)| *own == name).map(|(_, data)| *data)
            }
        }
    }

    /// What was given for one of `all` that are asked for.
    fn find(&self, all: &[Asked], asked: &Asked) -> Result<HostData<'a>, TrainerError> {
        let found = match (self, all) {
            (HostFields::One(data), [_]) => Some(*data),
            _ => self.named(&asked.name),
        };
        found.ok_or_else(|| {
            let wanted = format!("`{}` ({} {})", asked.name, asked.dtype, asked.shape);
            TrainerError::mismatch(plural(asked), wanted, self.names())
        })
    }

    fn names(&self) -> String {
        match self {
            HostFields::One(_) => "one without a name".to_owned(),
            HostFields::Named([]) => "none".to_owned(),
            HostFields::Named(fields) => {
                fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Refuses what nothing asks for, and a name that is given twice. A `weight` is no field that is
    /// asked for, but may be given where `weighted` says so.
    fn refuse_others(
        &self,
        asked: &[Asked],
        kind: &str,
        weighted: bool,
    ) -> Result<(), TrainerError> {
        let known = || asked.iter().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>();
        let wanted = |names: Vec<String>| match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        };
        let fields = match self {
            HostFields::One(_) if asked.len() == 1 => return Ok(()),
            HostFields::One(_) => {
                let wanted = format!("{} by name", wanted(known()));
                return Err(TrainerError::mismatch(kind, wanted, self.names()));
            }
            HostFields::Named(fields) => fields,
        };
        for (place, (name, _)) in fields.iter().enumerate() {
            let known_name = asked.iter().any(|field| field.name == *name);
            let allowed = known_name || (weighted && *name == WEIGHT);
            if !allowed {
                let got = format!("`{name}` besides");
                return Err(TrainerError::mismatch(kind, wanted(known()), got));
            }
            if fields[..place].iter().any(|(other, _)| other == name) {
                return Err(TrainerError::mismatch(
                    kind,
                    "each name once",
                    format!("`{name}` twice"),
                ));
            }
        }
        Ok(())
    }
}

fn plural(asked: &Asked) -> &'static str {
    match asked.role {
        onestep_data::Role::Input => "inputs",
        _ => "targets",
    }
}

/// An error of a check that calls everything `input` or `target`, with the name of the field.
fn named(error: LayerError, name: &str) -> TrainerError {
    match error {
        LayerError::Element { what, place, wanted, got } if what != name => {
            TrainerError::mismatch(format!("{name}: {place}"), wanted, got)
        }
        other => other.into(),
    }
}

impl TrainingProgram {
    /// Checks the inputs of a batch (their names, types and sizes, and that all indices exist) before
    /// they reach the device, and tells how many samples there are. It allocates nothing.
    ///
    /// # Errors
    /// By name what is missing, what nothing asks for, and what does not fit.
    pub fn check_inputs(&self, inputs: HostFields<'_>) -> Result<usize, TrainerError> {
        let all = self.asked(Mode::Predict);
        inputs.refuse_others(all, "inputs", false)?;
        let mut samples: Option<(usize, &str)> = None;
        for asked in all {
            let (name, data) = (asked.name.as_str(), inputs.find(all, asked)?);
            if data.dtype() != asked.dtype {
                return Err(TrainerError::mismatch(name, asked.dtype, data.dtype()));
            }
            let (each, got) = (asked.shape.elements().max(1), data.len());
            if got == 0 || !got.is_multiple_of(each) {
                let wanted =
                    format!("one or more samples of {}, {each} elements each", asked.shape);
                return Err(TrainerError::mismatch(name, wanted, format!("{got} elements")));
            }
            self.check_indices(asked, data)?;
            match samples {
                Some((count, first)) if count != got / each => {
                    let wanted = format!("{count} samples, as many as `{first}` has");
                    return Err(TrainerError::mismatch(name, wanted, got / each));
                }
                _ => samples = Some((got / each, name)),
            }
        }
        Ok(samples.map_or(0, |(count, _)| count))
    }

    fn check_indices(&self, asked: &Asked, data: HostData<'_>) -> Result<(), TrainerError> {
        let Some(limit) = self.model().index_limit_of(&asked.name) else { return Ok(()) };
        let check = |indices: &[i32]| {
            limit.check(indices, asked.shape.dims()).map_err(|error| named(error, &asked.name))
        };
        match data {
            HostData::I32(indices) => check(indices),
            HostData::U8(bytes) if bytes.iter().any(|&byte| usize::from(byte) >= limit.rows) => {
                check(&bytes.iter().map(|&byte| i32::from(byte)).collect::<Vec<_>>())
            }
            HostData::U8(_) | HostData::F32(_) => Ok(()),
        }
    }

    /// Checks the targets of a batch of so many samples, and how much each counts where that is
    /// given: all labels exist, and the losses are defined for all values.
    ///
    /// # Errors
    /// By name what is missing, what nothing asks for, and what does not fit.
    pub fn check_targets(
        &self,
        targets: HostFields<'_>,
        samples: usize,
    ) -> Result<(), TrainerError> {
        let all = self.asked_targets();
        targets.refuse_others(all, "targets", true)?;
        for asked in all {
            self.check_target(asked, targets.find(all, asked)?, samples)?;
        }
        targets.named(WEIGHT).map_or(Ok(()), |weights| check_weights(weights, samples))
    }

    fn check_target(
        &self,
        asked: &Asked,
        data: HostData<'_>,
        samples: usize,
    ) -> Result<(), TrainerError> {
        let name = asked.name.as_str();
        let terms = || self.losses().iter().filter(|term| term.target == name);
        if data.dtype() != asked.dtype {
            let losses: Vec<&str> = terms().map(|term| term.loss.type_name()).collect();
            let wanted = format!("{} for the loss {}", asked.dtype, losses.join(" and "));
            return Err(TrainerError::mismatch(name, wanted, data.dtype()));
        }
        let whole = asked.shape.with_batch(samples)?;
        if data.len() != whole.elements() {
            let wanted = format!("{whole} for {samples} samples");
            return Err(TrainerError::mismatch(name, wanted, format!("{} elements", data.len())));
        }
        terms().try_for_each(|term| match data {
            HostData::I32(labels) => check_labels(term, labels, asked),
            HostData::F32(values) => {
                let checked = term.loss.check_values(values, asked.shape.dims());
                checked.map_err(|error| named(error, name))
            }
            HostData::U8(_) => Ok(()),
        })
    }

    /// The data of the input that stands at a place of the model's.
    pub(crate) fn input_of<'a>(
        &self,
        inputs: HostFields<'a>,
        place: usize,
    ) -> Result<HostData<'a>, TrainerError> {
        let all = self.asked(Mode::Predict);
        inputs.find(all, &all[place])
    }

    /// The data of each field that predicting, or else training, asks for, in the program's order.
    pub(crate) fn arranged<'a>(
        &self,
        inputs: HostFields<'a>,
        targets: Option<HostFields<'a>>,
    ) -> Result<Vec<(Asked, HostData<'a>)>, TrainerError> {
        let all = self.asked(Mode::Predict);
        let mut found = Vec::new();
        for asked in all {
            found.push((asked.clone(), inputs.find(all, asked)?));
        }
        let Some(targets) = targets else { return Ok(found) };
        let all = self.asked_targets();
        for asked in all {
            found.push((asked.clone(), targets.find(all, asked)?));
        }
        found.extend(targets.named(WEIGHT).map(|weights| (Asked::weight(), weights)));
        Ok(found)
    }
}

/// Kernels use labels as indices, so that a wrong one must end here.
fn check_labels(term: &LossTerm, labels: &[i32], asked: &Asked) -> Result<(), TrainerError> {
    let (shape, classes) = (&asked.shape, asked.limit.unwrap_or(0));
    if shape.rank() > 0 {
        let checked = term.loss.check_labels(labels, shape.dims(), classes);
        return checked.map_err(|error| named(error, &asked.name));
    }
    let wrong = |label: &i32| term.loss.check_labels(&[*label], &[], classes).is_err();
    match labels.iter().position(wrong) {
        Some(sample) => Err(TrainerError::Label { sample, label: labels[sample], classes }),
        None => Ok(()),
    }
}

fn check_weights(weights: HostData<'_>, samples: usize) -> Result<(), TrainerError> {
    let HostData::F32(values) = weights else {
        return Err(TrainerError::mismatch(WEIGHT, DType::F32, weights.dtype()));
    };
    if values.len() != samples {
        let wanted = format!("one for each of {samples} samples");
        return Err(TrainerError::mismatch(WEIGHT, wanted, values.len()));
    }
    let wrong = |weight: &f32| !(weight.is_finite() && *weight >= 0.0);
    if let Some(sample) = values.iter().position(wrong) {
        let subject = format!("{WEIGHT}: sample {sample}");
        return Err(TrainerError::mismatch(subject, "a number of at least 0", values[sample]));
    }
    match values.iter().any(|weight| *weight > 0.0) {
        true => Ok(()),
        false => Err(TrainerError::mismatch(WEIGHT, "one at least above 0", "none")),
    }
}
