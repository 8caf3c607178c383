//! How the fields of a data set become those of a program.

use std::sync::Arc;

use onestep_data::{Batch, Dataset, Field, Fields, IGNORED, Meaning, Role, TargetSpec};
use onestep_engine::{DType, Mode, Signature, Type};
use onestep_layers::LossTerm;
use onestep_memory::{Shape, Tensor};

use super::Trainer;
use crate::TrainerError;
use crate::program::{Asked, TrainingProgram, of_probabilities};

/// For each field of a program its place among a data set's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    places: Vec<usize>,
    /// The program's names of the fields.
    pub(super) names: Vec<String>,
    /// What a sample has of each, and whether it varies in length.
    types: Vec<(Shape, DType, bool)>,
}

impl Binding {
    /// Room for the tensors of a batch, so that none is taken at each step.
    pub(super) fn room(&self) -> Vec<Tensor> {
        Vec::with_capacity(self.places.len())
    }

    /// What a batch of so many samples is, padded to so many positions where they vary in length.
    pub(super) fn signature(
        &self,
        batch: usize,
        length: Option<usize>,
    ) -> Result<Signature, TrainerError> {
        let fields = self.names.iter().zip(&self.types).map(|(name, (shape, dtype, varies))| {
            let shape = match length {
                Some(length) if *varies => shape.without_axis(0)?.with_batch(length)?,
                _ => shape.clone(),
            };
            Ok((name.clone(), Type { shape: shape.with_batch(batch)?, dtype: *dtype }))
        });
        Ok(Signature::new(fields.collect::<Result<Vec<_>, TrainerError>>()?)?)
    }

    /// The tensors of a batch in the program's order: handles, to be gone before the batch gives its
    /// slot back.
    pub(super) fn take(&self, batch: &Batch, tensors: &mut Vec<Tensor>) {
        tensors.clear();
        let all = batch.tensors();
        tensors.extend(self.places.iter().filter_map(|&place| all.get(place).cloned()));
    }
}

/// What a mode of a program is given, and where a data set has it.
struct Match<'a> {
    program: &'a TrainingProgram,
    dataset: &'a dyn Dataset,
    fields: &'a Fields,
}

impl Trainer {
    /// Finds the fields of a program in those of a data set: by their names, or the only one of its
    /// role whatever it is called. Refuses by name what is missing, of another type or shape, and what
    /// a model that is trained or measured has no use for.
    pub(super) fn bind(
        &self,
        dataset: &Arc<dyn Dataset>,
        mode: Mode,
    ) -> Result<Binding, TrainerError> {
        let fields = self.loader_of(Arc::clone(dataset), 1, mode.trains())?.fields()?;
        let dataset = dataset.as_ref();
        if dataset.is_empty() {
            let name = dataset.name().to_owned();
            return Err(onestep_data::DataError::Empty { dataset: name }.into());
        }
        let program = self.learner.program();
        let found = Match { program, dataset, fields: &fields };
        let mut asked = program.asked(mode).to_vec();
        let weighted = mode != Mode::Predict && fields.of(Role::Weight).next().is_some();
        if weighted {
            if let Some(mixing) = self.config.mix.filter(|_| mode.trains()) {
                let wanted = "none for data whose samples have weights";
                return Err(TrainerError::option("mix", wanted, mixing));
            }
            asked.push(Asked::weight());
        }
        let places = asked.iter().map(|asked| found.place(asked));
        let places = places.collect::<Result<Vec<usize>, TrainerError>>()?;
        let names: Vec<String> = asked.iter().map(|asked| asked.name.clone()).collect();
        // A model that learns from its inputs alone takes data with labels as it is.
        let passed_over = program.asked_targets().is_empty();
        let unused = (0..fields.len()).find(|&place| {
            let is_passed_over = passed_over && fields[place].role == Role::Target;
            !places.contains(&place) && !is_passed_over
        });
        match unused.filter(|_| mode != Mode::Predict) {
            None => {
                let of = |&place: &usize| {
                    let field = &fields[place];
                    (field.shape.clone(), field.dtype, field.varies)
                };
                Ok(Binding { types: places.iter().map(of).collect(), places, names })
            }
            Some(place) => {
                let wanted =
                    format!("the fields that the model and its loss take: {}", names.join(", "));
                let subject = format!("{}: fields", dataset.name());
                let got = format!("{} besides", fields[place]);
                Err(TrainerError::mismatch(subject, wanted, got))
            }
        }
    }
}

impl Match<'_> {
    fn place(&self, asked: &Asked) -> Result<usize, TrainerError> {
        let own = |place: &usize| self.fields[*place].role == asked.role;
        let named = self.fields.position(&asked.name).filter(own);
        let mut alone = (0..self.fields.len()).filter(own);
        let alone = alone.next().filter(|_| alone.next().is_none() && self.is_only(asked));
        let Some(place) = named.or(alone) else {
            let role = match asked.role {
                Role::Input => "an input",
                Role::Target => "a target",
                Role::Weight => "a weight",
            };
            let wanted =
                format!("{role} called `{}` ({} {})", asked.name, asked.dtype, asked.shape);
            let subject = format!("{}: fields", self.dataset.name());
            return Err(TrainerError::mismatch(subject, wanted, self.fields.names()));
        };
        self.check(asked, &self.fields[place])?;
        Ok(place)
    }

    /// Whether the program asks for no other field of the role.
    fn is_only(&self, asked: &Asked) -> bool {
        let all = self.program.asked(Mode::Train);
        all.iter().filter(|other| other.role == asked.role).count() <= 1
    }

    fn check(&self, asked: &Asked, field: &Field) -> Result<(), TrainerError> {
        match asked.role {
            Role::Input => self.check_input(asked, field),
            Role::Target => self.check_target(asked, field),
            Role::Weight => self.check_type(asked, field, "weights"),
        }
    }

    fn subject(&self, asked: &Asked) -> String {
        format!("{}: {}", self.dataset.name(), asked.name)
    }

    fn check_type(&self, asked: &Asked, field: &Field, what: &str) -> Result<(), TrainerError> {
        if asked.shape != field.shape {
            let wanted = format!("{what} of {}, as the model takes", asked.shape);
            return Err(TrainerError::mismatch(self.subject(asked), wanted, &field.shape));
        }
        if asked.dtype != field.dtype {
            let wanted = format!("{}, as the model takes", asked.dtype);
            return Err(TrainerError::mismatch(self.subject(asked), wanted, field.dtype));
        }
        Ok(())
    }

    fn check_input(&self, asked: &Asked, field: &Field) -> Result<(), TrainerError> {
        self.check_type(asked, field, "samples")?;
        let (Some(rows), Meaning::Indices { count }) = (asked.limit, &field.meaning) else {
            return Ok(());
        };
        if *count > rows {
            let wanted = format!("at most {rows} different indices, the rows of its embedding");
            return Err(TrainerError::mismatch(self.subject(asked), wanted, count));
        }
        Ok(())
    }

    fn check_target(&self, asked: &Asked, field: &Field) -> Result<(), TrainerError> {
        let loss = self.program.loss().type_name();
        let labels = asked.dtype == DType::I32;
        let refuse = |wanted: String, got: String| {
            Err(TrainerError::mismatch(self.subject(asked), wanted, got))
        };
        if let (Meaning::Probabilities { names }, true) = (&field.meaning, labels) {
            return self.check_mixed(asked, names.len());
        }
        let names = match field.target_spec() {
            TargetSpec::Classes { names } if labels => names,
            TargetSpec::Values { .. } if labels && field.dtype == DType::I32 => [].into(),
            TargetSpec::Values { shape } if labels => {
                return refuse(format!("class labels for the loss {loss}"), values(&shape));
            }
            TargetSpec::Values { shape } if shape == asked.shape && field.dtype == asked.dtype => {
                return Ok(());
            }
            TargetSpec::Values { shape } => {
                return refuse(
                    format!("{} for the loss {loss}", values(&asked.shape)),
                    values(&shape),
                );
            }
            _ => {
                let got = "class labels".to_owned();
                return refuse(format!("{} for the loss {loss}", values(&asked.shape)), got);
            }
        };
        if field.shape != asked.shape {
            let wanted = format!("labels of {} a sample for this model", asked.shape);
            let got = match field.is_scalar() {
                true => "one label".to_owned(),
                false => field.shape.to_string(),
            };
            return refuse(wanted, got);
        }
        self.check_ignored(asked, field)?;
        match asked.limit {
            Some(classes) if names.len() > classes => Err(TrainerError::mismatch(
                format!("{}: classes", self.dataset.name()),
                format!("at most {classes}, the outputs of the model"),
                names.len(),
            )),
            _ => Ok(()),
        }
    }

    /// Labels that were mixed are as many probabilities as the model has outputs.
    fn check_mixed(&self, asked: &Asked, classes: usize) -> Result<(), TrainerError> {
        let outputs = asked.limit.unwrap_or(0);
        if asked.shape.rank() > 0 {
            let wanted = format!("labels of {} a sample for this model", asked.shape);
            return Err(TrainerError::mismatch(self.subject(asked), wanted, "mixed labels"));
        }
        if self.program.losses().iter().any(|term| of_probabilities(&term.loss).is_none()) {
            let wanted = "losses that are all cross_entropy of labels, without weight and \
                          ignore_index, for labels that are mixed (`mix`)";
            let got = self.program.loss().type_name();
            return Err(TrainerError::mismatch(self.subject(asked), wanted, got));
        }
        if outputs != classes {
            let subject = format!("{}: classes", self.dataset.name());
            let wanted = format!("{outputs}, one for each output of the model, to mix labels");
            return Err(TrainerError::mismatch(subject, wanted, classes));
        }
        Ok(())
    }

    /// A label that stands for none must be one that each loss against the field passes over: to any
    /// other it is an index that does not exist.
    fn check_ignored(&self, asked: &Asked, field: &Field) -> Result<(), TrainerError> {
        if !field.ignores() {
            return Ok(());
        }
        let counts = |term: &&LossTerm| {
            let classes = asked.limit.unwrap_or(0);
            term.target == asked.name
                && term.loss.check_labels(&[IGNORED], asked.shape.dims(), classes).is_err()
        };
        let Some(term) = self.program.losses().iter().find(counts) else { return Ok(()) };
        let wanted = format!(
            "labels that all count for the loss {}, or cross_entropy with an ignore_index of \
             {IGNORED}",
            term.loss.type_name()
        );
        let got = format!("labels among which {IGNORED} may stand for none");
        Err(TrainerError::mismatch(self.subject(asked), wanted, got))
    }
}

fn values(shape: &Shape) -> String {
    format!("values of {shape}")
}
