//! What is compiled: a forward graph, its loss, and the rule that updates the parameters.

use std::sync::Arc;

use onestep_memory::Shape;

use crate::error::GraphError;
use crate::graph::{Graph, Value};
use crate::ops::LeafKind;

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, loss, backward and update.
    Train,
    /// Forward and loss, without any change of state.
    Evaluate,
    /// Forward only.
    Predict,
}

impl Mode {
    /// What is done with a batch, for messages.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            Mode::Train => "train on",
            Mode::Evaluate => "evaluate",
            Mode::Predict => "predict",
        }
    }
}

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
    /// The update rule; required to train.
    pub update: Option<Arc<UpdateGraph>>,
    /// Whether the gradients are outputs too, as `grad.NAME`.
    pub keep_gradients: bool,
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
            keep_gradients: false,
        }
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

    /// Elements of the group's buffers.
    pub fn elements(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }
}

/// The update of all groups as one graph over their flat buffers:
/// `parameter, gradient, state, scalars -> parameter, state`.
#[derive(Clone, Debug, Default)]
pub struct UpdateGraph {
    /// The graph. Its leaves are those made by [`UpdateGraph::group`], and scalars such as `lr`.
    pub graph: Graph,
    /// One entry a group.
    pub groups: Vec<GroupUpdate>,
    /// Scalars for the ticket, such as the gradient's norm.
    pub reports: Vec<Named>,
}

/// The update of one group. All values are f32 vectors of the group's length.
#[derive(Clone, Debug)]
pub struct GroupUpdate {
    /// The group's name.
    pub group: String,
    /// The leaf that stands for the parameters before the step.
    pub parameter: Value,
    /// The leaf that stands for their gradient.
    pub gradient: Value,
    /// The parameters after the step.
    pub new_parameter: Value,
    /// The optimizer's state.
    pub states: Vec<StateUpdate>,
}

/// One kind of optimizer state of one group.
#[derive(Clone, Debug)]
pub struct StateUpdate {
    /// What it is, such as `exp_avg`.
    pub kind: String,
    /// The leaf that stands for it before the step.
    pub old: Value,
    /// Its value after the step.
    pub new: Value,
    /// What it is before the first step.
    pub initial: f32,
}

impl UpdateGraph {
    /// Adds the leaves of a group: its parameters and its gradient. Until the caller sets
    /// `new_parameter`, the update changes nothing.
    ///
    /// # Errors
    /// The group was added before.
    pub fn group(&mut self, group: &ParameterGroup) -> Result<&mut GroupUpdate, GraphError> {
        let dims = [group.elements()];
        let parameter = self.graph.parameter(&format!("{}.parameter", group.name), &dims)?;
        let name = format!("{}.gradient", group.name);
        let gradient = self.graph.input(&name, &dims, onestep_memory::DType::F32)?;
        self.groups.push(GroupUpdate {
            group: group.name.clone(),
            parameter,
            gradient,
            new_parameter: parameter,
            states: Vec::new(),
        });
        let last = self.groups.len() - 1;
        Ok(&mut self.groups[last])
    }

    /// Adds a leaf for one kind of optimizer state of a group. The caller then appends a
    /// [`StateUpdate`] to the group.
    ///
    /// # Errors
    /// The group has such a state already.
    pub fn state(&mut self, group: &ParameterGroup, kind: &str) -> Result<Value, GraphError> {
        self.graph.state(&format!("{}.{kind}", group.name), &[group.elements()])
    }
}
