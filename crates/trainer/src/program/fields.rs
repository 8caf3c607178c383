//! What a program takes of each sample.

use onestep_data::Role;
use onestep_engine::ops::LeafKind;
use onestep_engine::{DType, Graph, Mode, Signature, Type};
use onestep_layers::{Forward, LossTerm, Model, WEIGHT};
use onestep_memory::Shape;

use super::scored::{Scoring, score};
use crate::TrainerError;
use crate::metrics::Figures;

/// A field that a program takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Of one sample, without the batch.
    pub(crate) shape: Shape,
    pub(crate) dtype: DType,
    /// How many different labels or indices there may be, from 0.
    pub(crate) limit: Option<usize>,
}

impl Asked {
    /// How much each sample counts.
    pub(crate) fn weight() -> Self {
        Asked {
            name: WEIGHT.to_owned(),
            role: Role::Weight,
            shape: Shape::scalar(),
            dtype: DType::F32,
            limit: None,
        }
    }

    fn of(name: &str, role: Role, ty: &Type, limit: Option<usize>) -> Result<Self, TrainerError> {
        let shape = Shape::new(ty.shape.dims().get(1..).unwrap_or_default())?;
        Ok(Asked { name: name.to_owned(), role, shape, dtype: ty.dtype, limit })
    }
}

/// What the first loss wants to be told, for each sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// Integer labels of this shape (rank 0: one a sample), below the number of classes.
    Labels { shape: Shape, classes: usize },
    /// Numbers of this shape.
    Values { shape: Shape },
    /// Nothing: it compares outputs with one another.
    None,
}

/// The samples that a model is built for to learn what it wants: what needs statistics over a batch
/// gets them.
const SAMPLES: usize = 2;

/// What is known of a model and its losses before any batch.
pub(super) struct Described {
    pub(super) figures: Figures,
    pub(super) target: TargetKind,
    /// The inputs, then the targets.
    pub(super) asked: Vec<Asked>,
    /// The same for [`SAMPLES`].
    pub(super) signature: Signature,
}

/// Builds the losses once to learn what they report and want to be told.
pub(super) fn describe(model: &Model, scoring: &Scoring) -> Result<Described, TrainerError> {
    let mut forward = model.forward(Mode::Evaluate, SAMPLES)?;
    let scored = score(&mut forward, scoring, false)?;
    let graph = &forward.graph;
    let mut asked = Vec::new();
    for input in &forward.inputs {
        let limit = model.index_limit_of(&input.name).map(|limit| limit.rows);
        asked.push(Asked::of(&input.name, Role::Input, graph.type_of(input.value), limit)?);
    }
    for (term, values) in scoring.terms.iter().zip(&scored.terms) {
        if values.target.is_none() || asked.iter().any(|known| known.name == term.target) {
            continue;
        }
        let ty = leaf(graph, &term.target)?;
        let limit = (ty.dtype == DType::I32).then(|| classes(&forward, term));
        asked.push(Asked::of(&term.target, Role::Target, ty, limit)?);
    }
    let target = match (scored.first.target, scoring.terms.first()) {
        (Some(target), Some(term)) => {
            let first = graph.type_of(target);
            let shape = Shape::new(first.shape.dims().get(1..).unwrap_or_default())?;
            match first.dtype {
                DType::I32 => TargetKind::Labels { shape, classes: classes(&forward, term) },
                _ => TargetKind::Values { shape },
            }
        }
        _ => TargetKind::None,
    };
    let fields = asked.iter().map(|asked| {
        let shape = asked.shape.with_batch(SAMPLES)?;
        Ok((asked.name.clone(), Type { shape, dtype: asked.dtype }))
    });
    let signature = Signature::new(fields.collect::<Result<Vec<_>, TrainerError>>()?)?;
    Ok(Described { figures: scored.figures, target, asked, signature })
}

fn leaf<'a>(graph: &'a Graph, name: &str) -> Result<&'a Type, TrainerError> {
    let found = graph.leaves(LeafKind::Input).find(|(own, _)| *own == name);
    found.map(|(_, value)| graph.type_of(value)).ok_or_else(|| {
        let wanted = format!("a loss with a leaf called `{name}`");
        TrainerError::mismatch("loss", wanted, "none of the name")
    })
}

/// The classes that an output tells apart.
fn classes(forward: &Forward, term: &LossTerm) -> usize {
    let output = forward.output_named(term.first_output()).unwrap_or_else(|| forward.output());
    forward.graph.shape(output).dims().get(term.loss.class_axis()).copied().unwrap_or(0)
}
