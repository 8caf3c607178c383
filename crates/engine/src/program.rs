//! What is compiled: a forward graph, its loss, and the rule that updates the parameters.

use std::ops::Range;
use std::sync::Arc;

use onestep_memory::Shape;

use crate::error::EngineError;
use crate::graph::{Graph, Value};
use crate::mode::Mode;
use crate::ops::LeafKind;
use crate::update::UpdateGraph;

/// A value with the name it is reported under.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl Named {
    /// Pairs a name with a value.
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Named { name: name.into(), value }
    }
}

/// A forward graph with its loss and what becomes of it.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is for.
    pub mode: Mode,
    /// The forward graph, with leaves for feeds, parameters, state and scalars.
    pub graph: Graph,
    /// The f32 scalar to minimise; required to train.
    pub loss: Option<Value>,
    /// Values that can be read after a step by name, such as the logits.
    pub outputs: Vec<Named>,
    /// f32 scalars that come back in each ticket, behind the loss.
    pub reports: Vec<Named>,
    /// New values of state leaves, by the leaf's name.
    pub state_updates: Vec<Named>,
    /// How parameters are grouped into contiguous buffers.
    pub groups: Arc<[ParameterGroup]>,
    /// The update rule; required to train. A group of which it says nothing is frozen: it has no
    /// gradient and stays as it is.
    pub update: Option<Arc<UpdateGraph>>,
    /// To evaluate or predict with other weights than those that are trained: the kind of optimizer
    /// state with the shape of the parameters that they are read from, such as `ema`. Groups that
    /// have no such state, such as frozen ones, are read as they are.
    pub weights: Option<String>,
    /// Whether the gradients are outputs too, as `grad.NAME`.
    pub keep_gradients: bool,
    /// The weight of the loss among those of several batches: the f32 scalar that its mean divided
    /// by, 1 for a sum. Required to accumulate gradients, each times its weight; a program to train
    /// that has one adds its own gradient to them, divides by the sum of the weights, updates, and
    /// begins anew. Equal to one large batch but for rounding. The state needs
    /// [`StateLayout::accumulating`](crate::StateLayout::accumulating).
    pub accumulation: Option<Value>,
}

impl Program {
    /// A program that computes the outputs of a graph and nothing else, with all parameters in one
    /// group.
    pub fn predict(graph: Graph, outputs: Vec<Named>) -> Self {
        let parameters = graph
            .leaves(LeafKind::Parameter)
            .map(|(name, value)| ParameterInfo::new(name, graph.shape(value).clone()))
            .collect();
        let groups = Arc::from([ParameterGroup::new("all", parameters)]);
        Program {
            mode: Mode::Predict,
            graph,
            loss: None,
            outputs,
            reports: Vec::new(),
            state_updates: Vec::new(),
            groups,
            update: None,
            weights: None,
            keep_gradients: false,
            accumulation: None,
        }
    }

    /// Lets the value that has a label, such as the result of a layer, be read after a step by that
    /// name. It then stays in memory until the end of the step.
    ///
    /// ```
    /// use onestep_engine::{DType, EngineError, Graph, Program};
    /// let mut g = Graph::new();
    /// let x = g.input("x", &[2, 3], DType::F32)?;
    /// let hidden = g.relu(x)?;
    /// g.label(hidden, "relu1");
    /// let mut program = Program::predict(g, Vec::new());
    /// program.expose("relu1")?;
    /// assert!(program.expose("relu2").is_err());
    /// # Ok::<(), EngineError>(())
    /// ```
    ///
    /// # Errors
    /// [`EngineError::UnknownOutput`]: no value has the label.
    pub fn expose(&mut self, label: &str) -> Result<(), EngineError> {
        if self.outputs.iter().any(|output| output.name == label) {
            return Ok(());
        }
        let value = self.graph.labelled(label).ok_or_else(|| EngineError::UnknownOutput {
            name: label.to_owned(),
            known: self.graph.labels().join(", "),
        })?;
        self.outputs.push(Named::new(label, value));
        Ok(())
    }
}

/// A learned tensor by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// The name of its leaf, such as `conv1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

impl ParameterInfo {
    /// Pairs a name with a shape.
    pub fn new(name: impl Into<String>, shape: Shape) -> Self {
        ParameterInfo { name: name.into(), shape }
    }
}

/// Parameters that are updated by the same rule with the same options. They lie one behind the
/// other in one buffer, and so do their gradients and each kind of optimizer state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterGroup {
    /// The group's name, such as `decay`. No other group has it.
    pub name: String,
    /// The name of the options that it is updated with: its own, but for a group that was
    /// [split off](ParameterGroup::split_large) another.
    pub options: String,
    /// Its parameters in the order of the buffer.
    pub parameters: Vec<ParameterInfo>,
}

impl ParameterGroup {
    /// A group of parameters.
    pub fn new(name: impl Into<String>, parameters: Vec<ParameterInfo>) -> Self {
        let name = name.into();
        ParameterGroup { options: name.clone(), name, parameters }
    }

    /// The group without its parameters of at least `large` elements, and behind it a group for
    /// each of those: `decay/fc1.weight`. Empty groups are left out.
    ///
    /// A group is updated when the last of its gradients is known. Alone, a large parameter is
    /// updated right behind its gradient, whose memory is then free for others.
    pub fn split_large(self, large: usize) -> Vec<ParameterGroup> {
        let ParameterGroup { name, options, parameters } = self;
        let is_large = |p: &ParameterInfo| p.shape.elements() >= large;
        let (apart, rest): (Vec<_>, Vec<_>) = parameters.into_iter().partition(is_large);
        let apart = apart.into_iter().map(|p| (format!("{name}/{}", p.name), vec![p]));
        let all = std::iter::once((name.clone(), rest)).chain(apart);
        all.filter(|(_, parameters)| !parameters.is_empty())
            .map(|(name, parameters)| ParameterGroup { name, options: options.clone(), parameters })
            .collect()
    }

    /// Its parameters with the elements of the group's buffer that each takes.
    pub fn ranges(&self) -> impl Iterator<Item = (&ParameterInfo, Range<usize>)> {
        self.parameters.iter().scan(0, |start, parameter| {
            let range = *start..*start + parameter.shape.elements();
            *start = range.end;
            Some((parameter, range))
        })
    }

    /// Elements of the group's buffers.
    pub fn elements(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }
}
