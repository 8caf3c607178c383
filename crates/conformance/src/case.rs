//! A case of the table and how it becomes a run.

use onestep_engine::ops::LeafKind;
use onestep_engine::{
    DType, Graph, GraphError, Mode as ProgramMode, Named, ParameterGroup, Program, UpdateGraph,
    Value,
};

use crate::error::ConformanceError;
use crate::golden::{Family, Golden};
use crate::report::Mode;
use crate::subject::{Feeds, Run, Tensors};
use crate::tolerance::Tolerance;

/// One row of the table.
pub struct Case {
    /// Its family, whose golden of the same name has the numbers.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// How it is built.
    pub build: Build,
    /// How far a value may be from the golden, and why.
    pub tolerance: Tolerance,
    /// The same for gradients, where it differs.
    pub gradient_tolerance: Option<Tolerance>,
    /// Modes in which it is not run, and why.
    pub exclusions: &'static [(Mode, &'static str)],
}

/// Makes a run out of a golden's inputs.
pub type Build = Box<dyn Fn(&Golden) -> Result<Setup, ConformanceError> + Send + Sync>;

/// A run and what to compare of it.
#[derive(Debug)]
pub struct Setup {
    /// What to run.
    pub run: Run,
    /// What to compare.
    pub expect: Vec<Expect>,
}

/// A tensor of a golden and where an outcome has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The golden's tensor.
    pub golden: String,
    /// Where to find it.
    pub source: Source,
}

/// A place in an [`Outcome`](crate::Outcome).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tensor of the first step.
    First(String),
    /// A tensor at the end.
    Last(String),
    /// A tensor of every step, stacked along a new first axis.
    Each(String),
}

impl Case {
    /// Why the case is not run in this mode.
    pub fn exclusion(&self, mode: Mode) -> Option<&'static str> {
        self.exclusions.iter().find(|(m, _)| *m == mode).map(|(_, reason)| *reason)
    }

    /// How far a tensor of the golden may be off.
    pub fn tolerance_of(&self, tensor: &str) -> &Tolerance {
        let gradient = self.gradient_tolerance.as_ref().filter(|_| tensor.starts_with("grad."));
        gradient.unwrap_or(&self.tolerance)
    }

    /// The same case with another tolerance for its gradients.
    #[must_use]
    pub fn gradients_within(mut self, tolerance: Tolerance) -> Self {
        self.gradient_tolerance = Some(tolerance);
        self
    }

    /// The same case with other exclusions.
    #[must_use]
    pub fn without(mut self, exclusions: &'static [(Mode, &'static str)]) -> Self {
        self.exclusions = exclusions;
        self
    }

    /// Builds the case.
    ///
    /// # Errors
    /// There is no golden, or it lacks a tensor, or the graph does not build.
    pub fn setup(&self) -> Result<(&'static Golden, Setup), ConformanceError> {
        let golden = self.family.golden(&self.name)?;
        Ok((golden, (self.build)(golden)?))
    }
}

/// Declares a leaf for a golden's tensor: f32 ones are parameters, so that they get gradients.
pub(crate) fn operand(
    g: &mut Graph,
    golden: &Golden,
    tensor: &str,
) -> Result<Value, ConformanceError> {
    let found = golden.tensor(tensor)?;
    let dims = found.array.shape.dims();
    match found.dtype {
        Some(DType::F32) => Ok(g.parameter(tensor, dims)?),
        Some(dtype) => Ok(g.input(tensor, dims, dtype)?),
        None => Err(ConformanceError::subject("declaring a leaf", format!("{tensor} is float64"))),
    }
}

/// `sum(output * cotangent)`, with the golden's cotangent as an input.
pub(crate) fn weighted_sum(
    g: &mut Graph,
    golden: &Golden,
    output: Value,
) -> Result<Value, ConformanceError> {
    let cotangent = golden.tensor("cotangent")?;
    let cotangent = g.input("cotangent", cotangent.array.shape.dims(), DType::F32)?;
    let product = g.mul(output, cotangent)?;
    Ok(g.sum_all(product)?)
}

/// An update that leaves all parameters as they are, so that a program for gradients alone is a
/// training program like any other.
pub(crate) fn no_update(groups: &[ParameterGroup]) -> Result<UpdateGraph, GraphError> {
    let mut update = UpdateGraph::default();
    for group in groups {
        update.group(group)?;
    }
    Ok(update)
}

/// A program that gives the outputs and, with a loss, the gradients of all parameters.
pub(crate) fn gradient_program(
    graph: Graph,
    loss: Option<Value>,
    outputs: Vec<Named>,
) -> Result<Program, ConformanceError> {
    let mut program = Program::predict(graph, outputs);
    if loss.is_some() {
        program.mode = ProgramMode::Train;
        program.loss = loss;
        program.update = Some(no_update(&program.groups)?.into());
        program.keep_gradients = true;
    }
    Ok(program)
}

/// A run of one step whose leaves are found by `find`, which is given their names.
pub(crate) fn one_step(
    program: Program,
    find: impl Fn(&str) -> Result<onestep_engine::reference::Array, ConformanceError>,
) -> Result<Run, ConformanceError> {
    let collect = |kind: LeafKind| -> Result<Tensors, ConformanceError> {
        program.graph.leaves(kind).map(|(name, _)| Ok((name.to_owned(), find(name)?))).collect()
    };
    let mut initial = collect(LeafKind::Parameter)?;
    initial.extend(collect(LeafKind::State)?);
    let feeds = Feeds { inputs: collect(LeafKind::Input)?, ..Feeds::default() };
    Ok(Run { program, initial, steps: vec![feeds], seed: 0, first_step: 1 })
}

impl Expect {
    /// A tensor of the first step.
    pub(crate) fn first(golden: impl Into<String>, outcome: impl Into<String>) -> Self {
        Expect { golden: golden.into(), source: Source::First(outcome.into()) }
    }

    /// A tensor at the end.
    pub(crate) fn last(golden: impl Into<String>, outcome: impl Into<String>) -> Self {
        Expect { golden: golden.into(), source: Source::Last(outcome.into()) }
    }

    /// A tensor of every step.
    pub(crate) fn each(golden: impl Into<String>, outcome: impl Into<String>) -> Self {
        Expect { golden: golden.into(), source: Source::Each(outcome.into()) }
    }
}
